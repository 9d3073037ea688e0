_base_ = './resmlp-s12_8xb128_in1k.py'

model = dict(backbone=dict(arch='b24'), head=dict(in_channels=768))
