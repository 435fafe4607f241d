// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's interfaces as programs look them up: a network device eth0 beside lo, their addresses by rtnetlink and ioctl.
 *
 * Nothing is ever sent through eth0: what leaves the guest leaves through sockets. In C, since netlink messages are built
 * by inline functions.
 */
#include <linux/etherdevice.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/in6.h>
#include <linux/inetdevice.h>
#include <linux/netdevice.h>
#include <linux/proc_fs.h>
#include <linux/rtnetlink.h>
#include <linux/seq_file.h>
#include <net/net_namespace.h>
#include <net/netlink.h>
#include <net/rtnetlink.h>

#include "shim.h"

static struct net_device *nexus_netdev;
static __be32 nexus_v4;
static struct in6_addr nexus_v6;

/* An address of an interface. */
struct nexus_address {
	struct net_device *dev;
	const void *bytes;
	u8 prefix;
	u8 scope;
};

static const __be32 loopback_v4 = htonl(INADDR_LOOPBACK);
static const struct in6_addr loopback_v6 = IN6ADDR_LOOPBACK_INIT;

/* The addresses of a family, lo's first; false behind the last one. Under RTNL. */
static bool nexus_address(int family, unsigned int index, struct nexus_address *to)
{
	bool v4 = family == PF_INET;

	switch (index) {
	case 0:
		to->dev = init_net.loopback_dev;
		to->bytes = v4 ? (const void *)&loopback_v4 : &loopback_v6;
		to->prefix = v4 ? 8 : 128;
		to->scope = RT_SCOPE_HOST;
		return true;
	case 1:
		if (!nexus_netdev)
			return false;
		to->dev = nexus_netdev;
		to->bytes = v4 ? (const void *)&nexus_v4 : &nexus_v6;
		to->prefix = v4 ? 24 : 64;
		to->scope = RT_SCOPE_UNIVERSE;
		return true;
	default:
		return false;
	}
}

static int nexus_put_address(struct sk_buff *skb, struct netlink_callback *cb, int family, const struct nexus_address *address)
{
	unsigned int size = family == PF_INET ? sizeof(nexus_v4) : sizeof(nexus_v6);
	struct ifa_cacheinfo forever = { .ifa_prefered = U32_MAX, .ifa_valid = U32_MAX };
	struct ifaddrmsg *message;
	struct nlmsghdr *header;

	header = nlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq, RTM_NEWADDR, sizeof(*message), NLM_F_MULTI);
	if (!header)
		return -EMSGSIZE;
	message = nlmsg_data(header);
	message->ifa_family = family;
	message->ifa_prefixlen = address->prefix;
	message->ifa_flags = IFA_F_PERMANENT;
	message->ifa_scope = address->scope;
	message->ifa_index = address->dev->ifindex;
	if (nla_put(skb, IFA_ADDRESS, size, address->bytes) ||
	    (family == PF_INET && (nla_put(skb, IFA_LOCAL, size, address->bytes) ||
				   nla_put_string(skb, IFA_LABEL, address->dev->name))) ||
	    nla_put_u32(skb, IFA_FLAGS, IFA_F_PERMANENT) || nla_put(skb, IFA_CACHEINFO, sizeof(forever), &forever)) {
		nlmsg_cancel(skb, header);
		return -EMSGSIZE;
	}
	nlmsg_end(skb, header);
	return 0;
}

static int nexus_dump_addresses(struct sk_buff *skb, struct netlink_callback *cb, int family)
{
	struct nexus_address address;

	while (nexus_address(family, cb->args[0], &address)) {
		if (nexus_put_address(skb, cb, family, &address))
			break;
		cb->args[0]++;
	}
	return skb->len;
}

static int nexus_dump_addresses_v4(struct sk_buff *skb, struct netlink_callback *cb)
{
	return nexus_dump_addresses(skb, cb, PF_INET);
}

static int nexus_dump_addresses_v6(struct sk_buff *skb, struct netlink_callback *cb)
{
	return nexus_dump_addresses(skb, cb, PF_INET6);
}

/* The one route: everything that is not the guest's own leaves by eth0. */
static int nexus_dump_routes(struct sk_buff *skb, struct netlink_callback *cb, int family)
{
	struct nlmsghdr *header;
	struct rtmsg *message;

	if (cb->args[0] || !nexus_netdev)
		return skb->len;
	header = nlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq, RTM_NEWROUTE, sizeof(*message), NLM_F_MULTI);
	if (!header)
		return skb->len;
	message = nlmsg_data(header);
	memset(message, 0, sizeof(*message));
	message->rtm_family = family;
	message->rtm_table = RT_TABLE_MAIN;
	message->rtm_protocol = RTPROT_BOOT;
	message->rtm_scope = RT_SCOPE_LINK;
	message->rtm_type = RTN_UNICAST;
	if (nla_put_u32(skb, RTA_TABLE, RT_TABLE_MAIN) || nla_put_u32(skb, RTA_OIF, nexus_netdev->ifindex)) {
		nlmsg_cancel(skb, header);
		return skb->len;
	}
	nlmsg_end(skb, header);
	cb->args[0] = 1;
	return skb->len;
}

static int nexus_dump_routes_v4(struct sk_buff *skb, struct netlink_callback *cb)
{
	return nexus_dump_routes(skb, cb, PF_INET);
}

static int nexus_dump_routes_v6(struct sk_buff *skb, struct netlink_callback *cb)
{
	return nexus_dump_routes(skb, cb, PF_INET6);
}

static const struct rtnl_msg_handler nexus_handlers[] = {
	{ .owner = THIS_MODULE, .protocol = PF_INET, .msgtype = RTM_GETADDR, .dumpit = nexus_dump_addresses_v4 },
	{ .owner = THIS_MODULE, .protocol = PF_INET6, .msgtype = RTM_GETADDR, .dumpit = nexus_dump_addresses_v6 },
	{ .owner = THIS_MODULE, .protocol = PF_INET, .msgtype = RTM_GETROUTE, .dumpit = nexus_dump_routes_v4 },
	{ .owner = THIS_MODULE, .protocol = PF_INET6, .msgtype = RTM_GETROUTE, .dumpit = nexus_dump_routes_v6 },
};

#ifndef CONFIG_INET
/* Writes the IPv4 address of a device for SIOCGIFCONF, or says how much room that takes; see inet_gifconf(). */
static int __maybe_unused nexus_gifconf(struct net_device *dev, char __user *buf, int len, int size)
{
	struct nexus_address address;
	struct ifreq request = {};
	struct sockaddr_in *to = (struct sockaddr_in *)&request.ifr_addr;
	unsigned int index = 0;

	do {
		if (!nexus_address(PF_INET, index++, &address))
			return 0;
	} while (address.dev != dev);
	if (!buf)
		return size;
	if (len < size)
		return 0;
	strscpy(request.ifr_name, dev->name);
	to->sin_family = AF_INET;
	memcpy(&to->sin_addr, address.bytes, sizeof(to->sin_addr));
	return copy_to_user(buf, &request, size) ? -EFAULT : size;
}
#endif

/* /proc/net/if_inet6, as in net/ipv6/addrconf.c: Java looks for scopes there. */
static int __maybe_unused nexus_show_if_inet6(struct seq_file *to, void *unused)
{
	struct nexus_address address;
	unsigned int index = 0;

	rtnl_lock();
	while (nexus_address(PF_INET6, index++, &address))
		seq_printf(to, "%pi6 %02x %02x %02x %02x %8s\n", address.bytes, address.dev->ifindex, address.prefix,
			   address.scope == RT_SCOPE_HOST ? 0x10 : 0, IFA_F_PERMANENT, address.dev->name);
	rtnl_unlock();
	return 0;
}

/* /proc/net/route, as in net/ipv4/fib_trie.c: the way out. */
static int __maybe_unused nexus_show_route(struct seq_file *to, void *unused)
{
	seq_puts(to, "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n");
	rtnl_lock();
	if (nexus_netdev)
		seq_printf(to, "%s\t%08X\t%08X\t%04X\t%d\t%u\t%d\t%08X\t%d\t%u\t%u\n", nexus_netdev->name, 0, 0, 1, 0,
			   0, 0, 0, 0, 0, 0);
	rtnl_unlock();
	return 0;
}

static netdev_tx_t nexus_start_xmit(struct sk_buff *skb, struct net_device *dev)
{
	dev_kfree_skb(skb);
	return NETDEV_TX_OK;
}

static const struct net_device_ops nexus_netdev_ops = {
	.ndo_start_xmit = nexus_start_xmit,
};

static void nexus_netdev_setup(struct net_device *dev)
{
	ether_setup(dev);
	dev->netdev_ops = &nexus_netdev_ops;
	dev->flags |= IFF_NOARP;
}

/* Shows lo, and brings it up. Files that cannot be made are missing; sockets work all the same. */
int nexus_interfaces_init(void)
{
	int err;

#ifdef CONFIG_INET
	/* The kernel's own answers would tell of addresses that no socket has. */
	rtnl_unregister_many(nexus_handlers);
#endif
	err = rtnl_register_many(nexus_handlers);
	if (err)
		return err;
	rtnl_lock();
	err = dev_open(init_net.loopback_dev, NULL);
#ifndef CONFIG_INET
	if (!err)
		inet_gifconf_hook = nexus_gifconf;
#endif
	rtnl_unlock();
	if (err) {
		rtnl_unregister_many(nexus_handlers);
		return err;
	}
#ifndef CONFIG_INET
	proc_create_single("if_inet6", 0444, init_net.proc_net, nexus_show_if_inet6);
	proc_create_single("route", 0444, init_net.proc_net, nexus_show_route);
#endif
	return 0;
}

void nexus_interfaces_exit(void)
{
#ifndef CONFIG_INET
	remove_proc_entry("route", init_net.proc_net);
	remove_proc_entry("if_inet6", init_net.proc_net);
	rtnl_lock();
	inet_gifconf_hook = NULL;
	rtnl_unlock();
#endif
	rtnl_unregister_many(nexus_handlers);
}

/* Shows an interface with these addresses, and brings it up. */
int nexus_interface_add(const u8 v4[4], const u8 v6[16])
{
	u8 mac[ETH_ALEN] = { 0x02, 'n', v4[0], v4[1], v4[2], v4[3] };
	struct net_device *dev;
	int err;

	dev = alloc_netdev(0, "eth%d", NET_NAME_ENUM, nexus_netdev_setup);
	if (!dev)
		return -ENOMEM;
	eth_hw_addr_set(dev, mac);
	memcpy(&nexus_v4, v4, sizeof(nexus_v4));
	memcpy(&nexus_v6, v6, sizeof(nexus_v6));
	err = register_netdev(dev);
	if (err)
		goto no_device;
	rtnl_lock();
	err = dev_open(dev, NULL);
	if (!err)
		nexus_netdev = dev;
	rtnl_unlock();
	if (!err)
		return 0;
	unregister_netdev(dev);
no_device:
	free_netdev(dev);
	return err;
}

/* Does nothing if there is none. */
void nexus_interface_remove(void)
{
	struct net_device *dev = nexus_netdev;

	if (!dev)
		return;
	rtnl_lock();
	nexus_netdev = NULL;
	rtnl_unlock();
	unregister_netdev(dev);
	free_netdev(dev);
}

/* Requests for an interface's IPv4 addresses (netdevice(7)); -ENOIOCTLCMD for others. */
int nexus_interface_ioctl(unsigned int command, unsigned long argument)
{
	struct nexus_address address;
	struct sockaddr_in *to;
	struct ifreq request;
	unsigned int index = 0;
	__be32 mask, own;

	switch (command) {
	case SIOCGIFADDR:
	case SIOCGIFDSTADDR:
	case SIOCGIFBRDADDR:
	case SIOCGIFNETMASK:
		break;
	default:
		return -ENOIOCTLCMD;
	}
	if (copy_from_user(&request, (void __user *)argument, sizeof(request)))
		return -EFAULT;
	request.ifr_name[IFNAMSIZ - 1] = 0;
	rtnl_lock();
	do {
		if (!nexus_address(PF_INET, index++, &address)) {
			rtnl_unlock();
			return -ENODEV;
		}
	} while (strcmp(address.dev->name, request.ifr_name));
	mask = htonl(~0U << (32 - address.prefix));
	memcpy(&own, address.bytes, sizeof(own));
	to = (struct sockaddr_in *)&request.ifr_addr;
	memset(to, 0, sizeof(*to));
	to->sin_family = AF_INET;
	if (command == SIOCGIFNETMASK)
		to->sin_addr.s_addr = mask;
	else if (command == SIOCGIFBRDADDR)
		to->sin_addr.s_addr = address.dev->flags & IFF_BROADCAST ? own | ~mask : 0;
	else
		to->sin_addr.s_addr = own;
	rtnl_unlock();
	return copy_to_user((void __user *)argument, &request, sizeof(request)) ? -EFAULT : 0;
}
