from mmcls_repmlp.host import NAME

# What stands in for mmcls is not there where mmcls is.
collect_ignore = ['test_mmcls_scope.py'] if NAME == 'mmcls' else []
