# A short schedule with learning rates that fall towards the stem. The figures
# are a place to start from; on RepMLP-B nobody has measured them.
optim_wrapper = dict(
    constructor='LayerDecayOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=5e-4, weight_decay=0.05),
    paramwise_cfg=dict(
        layer_decay_rate=0.8,  # per block, counted from the head
        norm_decay_mult=0.,
        bias_decay_mult=0.,
        flat_decay_mult=0.),
    clip_grad=dict(max_norm=5.0))
# The learning rate is meant for this many images per step: pass
# --auto-scale-lr to adapt it to yours.
auto_scale_lr = dict(base_batch_size=256)

# A factor on every layer's rate, over however many epochs there are.
param_scheduler = dict(
    type='WarmupCosineLR',
    warmup_ratio=0.1,
    start_factor=1e-2,
    by_epoch=True,
    convert_to_iter_based=True)

train_cfg = dict(by_epoch=True, max_epochs=30, val_interval=1)
val_cfg = dict()
test_cfg = dict()
