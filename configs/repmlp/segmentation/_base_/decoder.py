# What both segmenters share after the backbone: 19 classes, an auxiliary head
# on the third stage, windows of the size trained on. (mmengine drops names
# that begin with two underscores.)
norm_cfg = dict(type='SyncBN', requires_grad=True)
__head = dict(
    dropout_ratio=0.1, num_classes=19, norm_cfg=norm_cfg, align_corners=False)
model = dict(
    type='EncoderDecoder',
    backbone=dict(out_indices=(0, 1, 2, 3), norm_cfg=norm_cfg),
    decode_head=dict(
        channels=512,
        pool_scales=(1, 2, 3, 6),
        loss_decode=dict(
            type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
        **__head),
    auxiliary_head=dict(
        type='FCNHead',
        in_index=2,
        channels=256,
        num_convs=1,
        concat_input=False,
        loss_decode=dict(
            type='CrossEntropyLoss', use_sigmoid=False, loss_weight=0.4),
        **__head),
    train_cfg=dict(),
    test_cfg=dict(mode='slide', crop_size=(512, 1024), stride=(256, 512)))
