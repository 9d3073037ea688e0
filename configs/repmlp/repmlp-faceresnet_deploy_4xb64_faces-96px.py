_base_ = './repmlp-faceresnet_4xb64_faces-96px.py'

model = dict(backbone=dict(deploy=True))
