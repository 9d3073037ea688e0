_base_ = './repmlp-resnet50-bottleneck-g8-8_8xb32_in1k-320px.py'

model = dict(backbone=dict(deploy=True))
