// SPDX-License-Identifier: GPL-2.0-only
/*
 * The virtio device and its queues, as far as Rust cannot reach them. No decisions are taken here.
 */
#include <linux/module.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "shim.h"

/* Left by virtio for experiments (virtio 1.3, section 5). */
#define NEXUS_DEVICE_ID 63
#define NEXUS_F_STREAM 0
#define NEXUS_F_DATAGRAM 1
#define NEXUS_F_LISTEN 2
#define NEXUS_F_OPTIONS 3
#define NEXUS_F_INTERFACE 6
#define NEXUS_F_BIND 7
#define NEXUS_F_URGENT 8

static const struct virtio_device_id nexus_ids[] = {
	{ NEXUS_DEVICE_ID, VIRTIO_DEV_ANY_ID },
	{ 0 },
};

static const unsigned int nexus_features[] = {
	NEXUS_F_STREAM,
	NEXUS_F_DATAGRAM,
	NEXUS_F_LISTEN,
	NEXUS_F_OPTIONS,
	NEXUS_F_INTERFACE,
	NEXUS_F_BIND,
	NEXUS_F_URGENT,
};

/* Takes back what the transport would accept and version 1 of the protocol does not have. */
static int nexus_validate(struct virtio_device *vdev)
{
	if (!virtio_has_feature(vdev, VIRTIO_F_VERSION_1) || !virtio_has_feature(vdev, NEXUS_F_STREAM)) {
		dev_err(&vdev->dev, "offers neither version 1 of virtio nor stream sockets: not driven\n");
		return -ENODEV;
	}
	__virtio_clear_bit(vdev, VIRTIO_RING_F_INDIRECT_DESC);
	__virtio_clear_bit(vdev, VIRTIO_F_RING_PACKED);
	__virtio_clear_bit(vdev, VIRTIO_F_NOTIFICATION_DATA);
	/* Rings are named by their physical addresses. */
	__virtio_clear_bit(vdev, VIRTIO_F_ACCESS_PLATFORM);
	return 0;
}

static struct virtio_driver nexus_driver = {
	.driver.name = "virtio_nexus",
	.id_table = nexus_ids,
	.feature_table = nexus_features,
	.feature_table_size = ARRAY_SIZE(nexus_features),
	.validate = nexus_validate,
	.probe = nexus_probe,
	.remove = nexus_remove,
};

int nexus_driver_register(void)
{
	return register_virtio_driver(&nexus_driver);
}

void nexus_driver_unregister(void)
{
	unregister_virtio_driver(&nexus_driver);
}

void nexus_device_set_private(struct virtio_device *vdev, void *private)
{
	vdev->priv = private;
}

void *nexus_device_private(struct virtio_device *vdev)
{
	return vdev->priv;
}

int nexus_device_queues(struct virtio_device *vdev, struct virtqueue *queues[2])
{
	struct virtqueue_info info[] = {
		{ "requests", nexus_requests_returned },
		{ "events", nexus_events_arrived },
	};

	return virtio_find_vqs(vdev, ARRAY_SIZE(info), queues, info, NULL);
}

void nexus_device_ready(struct virtio_device *vdev)
{
	virtio_device_ready(vdev);
}

/* Afterwards the device touches no memory, and no callback runs. */
void nexus_device_quiesce(struct virtio_device *vdev)
{
	virtio_reset_device(vdev);
}

void nexus_device_delete_queues(struct virtio_device *vdev)
{
	vdev->config->del_vqs(vdev);
}

/* The features of our own that both sides have. */
u64 nexus_device_features(struct virtio_device *vdev)
{
	u64 features = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(nexus_features); i++)
		if (virtio_has_feature(vdev, nexus_features[i]))
			features |= BIT_ULL(nexus_features[i]);
	return features;
}

void nexus_device_config(struct virtio_device *vdev, void *to, unsigned int length)
{
	virtio_cread_bytes(vdev, 0, to, length);
}

struct virtio_device *nexus_queue_device(struct virtqueue *vq)
{
	return vq->vdev;
}

int nexus_queue_add_out(struct virtqueue *vq, void *buffer, unsigned int length, void *token)
{
	struct scatterlist sg;

	sg_init_one(&sg, buffer, length);
	return virtqueue_add_outbuf(vq, &sg, 1, token, GFP_ATOMIC);
}

int nexus_queue_add_in(struct virtqueue *vq, void *buffer, unsigned int length, void *token)
{
	struct scatterlist sg;

	sg_init_one(&sg, buffer, length);
	return virtqueue_add_inbuf(vq, &sg, 1, token, GFP_ATOMIC);
}

MODULE_DEVICE_TABLE(virtio, nexus_ids);
