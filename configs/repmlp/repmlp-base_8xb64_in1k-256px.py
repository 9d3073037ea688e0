_base_ = [
    './_base_/repmlp_base.py', './_base_/imagenet.py',
    './_base_/schedule_300ep.py', './_base_/runtime.py'
]

model = dict(backbone=dict(img_size=256))

train_pipeline = [
    dict(type='LoadImageStrict'),
    dict(type='RandomResizedCrop', scale=256, backend='pillow'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackClsInputs'),
]
# As the weights that mmcls hosts were tested.
test_pipeline = [
    dict(type='LoadImageStrict'),
    dict(type='ResizeEdge', scale=292, edge='short', backend='pillow'),
    dict(type='CenterCrop', crop_size=256),
    dict(type='PackClsInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
