_base_ = './repmlp-deep_ft_custom.py'

model = dict(backbone=dict(deploy=True))
