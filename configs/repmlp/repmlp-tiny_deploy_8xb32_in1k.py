_base_ = './repmlp-tiny_8xb32_in1k.py'

model = dict(backbone=dict(deploy=True))
