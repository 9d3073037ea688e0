_base_ = './repmlp-base_deploy_8xb64_in1k.py'  # a name that mmcls once gave
