_base_ = './repmlp-faceresnet-mini_1xb64_digits-32px.py'

model = dict(backbone=dict(deploy=True))
