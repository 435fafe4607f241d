# Devices of the lab's machine, as virtme-ng describes it to QEMU; a build of all devices takes five times as long.
CONFIG_Q35=y
CONFIG_VIRTIO_PCI=y
CONFIG_VIRTIO_9P=y
CONFIG_VIRTIO_SERIAL=y
CONFIG_WDT_IB6300ESB=y
