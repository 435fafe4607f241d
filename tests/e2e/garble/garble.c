// SPDX-License-Identifier: GPL-2.0-only
/*
 * Plays a guest that has been taken over: writes garbage where the device of
 * virtio-nexus reads, and rings its doorbell. The host has to stop this VM and
 * no other.
 *
 * kind=avail   an avail index far ahead of the queue
 * kind=desc    descriptors that point outside of memory
 * kind=message descriptors that point to well-placed nonsense
 */
#include <linux/io.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <uapi/linux/virtio_ring.h>

#define NEXUS_DEVICE_ID 63
#define REQUEST_QUEUE 0
#define MESSAGE_SIZE 64

static char *kind = "message";
module_param(kind, charp, 0);
MODULE_PARM_DESC(kind, "what to garble: avail, desc or message");

static struct virtqueue *request_queue(struct virtio_device *vdev)
{
	struct virtqueue *vq;

	list_for_each_entry(vq, &vdev->vqs, list)
		if (vq->index == REQUEST_QUEUE)
			return vq;
	return NULL;
}

static void garble(struct virtqueue *vq)
{
	struct vring_desc *desc = phys_to_virt(virtqueue_get_desc_addr(vq));
	struct vring_avail *avail = phys_to_virt(virtqueue_get_avail_addr(vq));
	unsigned int size = virtqueue_get_vring_size(vq);
	u16 next = le16_to_cpu((__force __le16)avail->idx);
	u8 *nonsense = kmalloc(MESSAGE_SIZE, GFP_KERNEL);

	if (!nonsense)
		return;
	get_random_bytes(nonsense, MESSAGE_SIZE);
	/* Operation codes are small numbers: this one is none. */
	nonsense[1] = 0xff;
	desc[0].addr = (__force __virtio64)cpu_to_le64(virt_to_phys(nonsense));
	if (!strcmp(kind, "desc"))
		desc[0].addr = (__force __virtio64)cpu_to_le64(1ULL << 52);
	desc[0].len = (__force __virtio32)cpu_to_le32(MESSAGE_SIZE);
	desc[0].flags = 0;
	avail->ring[next % size] = 0;
	virt_wmb();
	next += strcmp(kind, "avail") ? 1 : 3 * size;
	avail->idx = (__force __virtio16)cpu_to_le16(next);
	virt_mb();
	virtqueue_notify(vq);
	/* Not freed: the device may still read it. */
}

static int visit(struct device *dev, void *data)
{
	struct virtio_device *vdev = container_of(dev, struct virtio_device, dev);
	struct virtqueue *vq;

	if (vdev->id.device != NEXUS_DEVICE_ID)
		return 0;
	vq = request_queue(vdev);
	if (vq)
		garble(vq);
	return 1;
}

/* Drives nothing: registering it is the way to the bus, which is not exported. */
static const struct virtio_device_id no_ids[] = { { 0 } };

static int never(struct virtio_device *vdev)
{
	return -ENODEV;
}

static struct virtio_driver bystander = {
	.driver.name = KBUILD_MODNAME,
	.id_table = no_ids,
	.probe = never,
};

static int __init garble_init(void)
{
	int ret = register_virtio_driver(&bystander);

	if (ret)
		return ret;
	ret = bus_for_each_dev(bystander.driver.bus, NULL, NULL, visit) ? 0 : -ENODEV;
	unregister_virtio_driver(&bystander);
	return ret;
}
module_init(garble_init);

MODULE_DESCRIPTION("Writes garbage into the rings of virtio-nexus");
MODULE_LICENSE("GPL");
