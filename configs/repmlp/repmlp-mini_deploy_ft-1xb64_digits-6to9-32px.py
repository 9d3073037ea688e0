_base_ = './repmlp-mini_ft-1xb64_digits-6to9-32px.py'

model = dict(backbone=dict(deploy=True))
