_base_ = './repmlp-resnet50-bottleneck-g8-16_8xb32_in1k-320px.py'

model = dict(backbone=dict(deploy=True))
