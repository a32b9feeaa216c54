"""Features by networks: training of autoencoders, pretrained models, grouping by estimators."""
