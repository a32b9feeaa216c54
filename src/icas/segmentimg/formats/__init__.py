"""Files of paintings: masks, label maps, COCO, labelme, autosave."""
