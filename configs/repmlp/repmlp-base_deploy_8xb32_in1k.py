_base_ = './repmlp-base_8xb32_in1k.py'

model = dict(backbone=dict(deploy=True))
