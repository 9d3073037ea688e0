# RepMLP-ResNet-50 at 320 pixels (arXiv 2105.01883, section 4.2): partitions of
# 10x10, with one local convolution more.
_base_ = './repmlp_resnet50_224px.py'

img_size = 320
model = dict(
    backbone=dict(
        block='bottleneck',
        img_size=img_size,
        partition_size=10,
        reparam_conv_kernels=(1, 3, 5, 7),
        reduction=(2, 4)))

train_pipeline = _base_.train_pipeline
train_pipeline[1].scale = img_size
# As DingXiaoH/RepMLP@b626c3d tests at other sizes than 224 pixels.
test_pipeline = _base_.test_pipeline
test_pipeline[1].scale = test_pipeline[2].crop_size = img_size
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
