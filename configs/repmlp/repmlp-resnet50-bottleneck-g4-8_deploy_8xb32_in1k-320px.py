_base_ = './repmlp-resnet50-bottleneck-g4-8_8xb32_in1k-320px.py'

model = dict(backbone=dict(deploy=True))
