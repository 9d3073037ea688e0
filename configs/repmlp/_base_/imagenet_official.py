# ImageNet as the official training of 2022 reads it, 32 images per process.
_base_ = './imagenet.py'

img_size = 224
# As torchvision reads and resizes: by Pillow, without turning images by their
# orientation marks. (mmengine drops names that begin with two underscores.)
__load = dict(
    type='LoadImageStrict',
    imdecode_backend='pillow',
    color_type='color_ignore_orientation')
__resize = dict(scale=img_size, backend='pillow', interpolation='bilinear')

train_pipeline = [
    __load,
    dict(type='RandomResizedCrop', **__resize),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='RAug', num_ops=2, num_magnitudes=15),
    dict(type='PackClsInputs'),
]
test_pipeline = [
    __load,
    dict(type='ResizeEdge', edge='short', **__resize),
    dict(type='CenterCrop', crop_size=img_size),
    dict(type='PackClsInputs'),
]
train_dataloader = dict(
    batch_size=32,
    num_workers=8,
    drop_last=True,
    dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=32, num_workers=8, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
