_base_ = './repmlp-large_ft_custom.py'

model = dict(backbone=dict(deploy=True))
