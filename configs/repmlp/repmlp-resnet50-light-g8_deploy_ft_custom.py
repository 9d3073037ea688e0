_base_ = './repmlp-resnet50-light-g8_ft_custom.py'

model = dict(backbone=dict(deploy=True))
