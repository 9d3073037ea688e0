_base_ = './repmlp-tiny_ft_custom.py'

model = dict(backbone=dict(deploy=True))
