_base_ = './repmlp-large_8xb32_in1k-256px.py'

model = dict(backbone=dict(deploy=True))
