_base_ = './repmlp-resnet50-light-g8_8xb32_in1k.py'

model = dict(backbone=dict(deploy=True))
