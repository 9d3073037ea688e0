_base_ = './repmlp-resnet50-light-g4_8xb32_in1k.py'

model = dict(backbone=dict(deploy=True))
