_base_ = './_base_/official_256px.py'

model = dict(backbone=dict(arch='D'), head=dict(in_channels=640))
