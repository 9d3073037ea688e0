from mmcls_repmlp.host import NAME

# What is for mmpretrain alone.
collect_ignore = ['test_mmcls_scope.py', 'test_mmpretrain_config.py'
                  ] if NAME == 'mmcls' else []
