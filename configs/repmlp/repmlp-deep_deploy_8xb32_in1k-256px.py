_base_ = './repmlp-deep_8xb32_in1k-256px.py'

model = dict(backbone=dict(deploy=True))
