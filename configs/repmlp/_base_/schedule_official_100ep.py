# The official training of 2022: 100 epochs of 256 images per step. What
# differs from it: docs/training.md.
optim_wrapper = dict(
    optimizer=dict(
        type='AdamW', lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.1),
    # No decay of 1-D parameters and biases, norms among them.
    paramwise_cfg=dict(bias_decay_mult=0., flat_decay_mult=0.),
    clip_grad=dict(max_norm=5.0))
# Other batch sizes change the learning rate in proportion.
auto_scale_lr = dict(base_batch_size=256, enable=True)

param_scheduler = dict(
    type='WarmupCosineLR',
    start_factor=5e-4,  # of the full rate: from 5e-7
    warmup=10,
    by_epoch=True,
    convert_to_iter_based=True)

train_cfg = dict(by_epoch=True, max_epochs=100, val_interval=1)
val_cfg = dict()
test_cfg = dict()
