_base_ = './_base_/official_224px.py'

model = dict(backbone=dict(arch='T'), head=dict(in_channels=512))
