_base_ = './repmlp-tiny_8xb32_in1k-256px.py'

model = dict(backbone=dict(deploy=True))
