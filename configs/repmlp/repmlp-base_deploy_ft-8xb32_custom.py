_base_ = './repmlp-base_ft-8xb32_custom.py'

model = dict(backbone=dict(deploy=True))
