# The published network. With locality to merge: resmlp-s12-local.
_base_ = './_base_/resmlp_imagenet.py'
