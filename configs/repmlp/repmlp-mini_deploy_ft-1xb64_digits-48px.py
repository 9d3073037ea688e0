_base_ = './repmlp-mini_ft-1xb64_digits-48px.py'

model = dict(backbone=dict(deploy=True))
