// SPDX-License-Identifier: GPL-2.0-only
/*
 * hwvcan: virtual CAN (classic and FD) whose frames carry hardware receive stamps by a PTP hardware clock of its own.
 *
 *   ip link add can0 type hwvcan && ip link set can0 up
 *
 * Nothing in mainline has stamps without a real controller: vcan gives software stamps only. For tests.
 */
#include <linux/can.h>
#include <linux/can/can-ml.h>
#include <linux/can/dev.h>
#include <linux/can/skb.h>
#include <linux/ethtool.h>
#include <linux/if_arp.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/net_tstamp.h>
#include <linux/netdevice.h>
#include <linux/ptp_clock_kernel.h>
#include <linux/version.h>
#include <net/rtnetlink.h>

static bool phc = true;
module_param(phc, bool, 0444);
MODULE_PARM_DESC(phc, "offer the clock as /dev/ptpN (0: stamps by a clock that nobody can read, as most controllers do)");

static long early_ns;
module_param(early_ns, long, 0644);
MODULE_PARM_DESC(early_ns, "how long before delivery the stamp was taken");

static int drift_ppb;
module_param(drift_ppb, int, 0444);
MODULE_PARM_DESC(drift_ppb, "error of the clock's oscillator, before any adjustment");

struct hwvcan {
	struct can_ml_priv ml;
	struct ptp_clock *ptp;
	struct ptp_clock_info info;
	/* The clock: at raw_ns (CLOCK_MONOTONIC_RAW) it said phc_ns, and since then it runs with this adjustment. */
	spinlock_t lock;
	u64 raw_ns, phc_ns;
	s64 adjustment_ppb;
};

static u64 clock_read(struct hwvcan *dev)
{
	u64 elapsed = ktime_get_raw_ns() - dev->raw_ns;
	s64 ppb = dev->adjustment_ppb + drift_ppb;
	u64 extra = mul_u64_u64_div_u64(elapsed, abs(ppb), NSEC_PER_SEC);

	return dev->phc_ns + elapsed + (ppb < 0 ? -extra : extra);
}

static void clock_set(struct hwvcan *dev, u64 ns)
{
	dev->raw_ns = ktime_get_raw_ns();
	dev->phc_ns = ns;
}

static struct hwvcan *of_clock(struct ptp_clock_info *info)
{
	return container_of(info, struct hwvcan, info);
}

static int hwvcan_adjfine(struct ptp_clock_info *info, long scaled_ppm)
{
	struct hwvcan *dev = of_clock(info);
	unsigned long flags;

	spin_lock_irqsave(&dev->lock, flags);
	clock_set(dev, clock_read(dev));
	/* Parts per million with 16 fractional bits. */
	dev->adjustment_ppb = div_s64((s64)scaled_ppm * 1000, 1 << 16);
	spin_unlock_irqrestore(&dev->lock, flags);
	return 0;
}

static int hwvcan_adjtime(struct ptp_clock_info *info, s64 delta)
{
	struct hwvcan *dev = of_clock(info);
	unsigned long flags;

	spin_lock_irqsave(&dev->lock, flags);
	clock_set(dev, clock_read(dev) + delta);
	spin_unlock_irqrestore(&dev->lock, flags);
	return 0;
}

static int hwvcan_gettimex(struct ptp_clock_info *info, struct timespec64 *time, struct ptp_system_timestamp *system)
{
	struct hwvcan *dev = of_clock(info);
	unsigned long flags;
	u64 now;

	spin_lock_irqsave(&dev->lock, flags);
	ptp_read_system_prets(system);
	now = clock_read(dev);
	ptp_read_system_postts(system);
	spin_unlock_irqrestore(&dev->lock, flags);
	*time = ns_to_timespec64(now);
	return 0;
}

static int hwvcan_settime(struct ptp_clock_info *info, const struct timespec64 *time)
{
	struct hwvcan *dev = of_clock(info);
	unsigned long flags;

	spin_lock_irqsave(&dev->lock, flags);
	clock_set(dev, timespec64_to_ns(time));
	spin_unlock_irqrestore(&dev->lock, flags);
	return 0;
}

static int hwvcan_enable(struct ptp_clock_info *info, struct ptp_clock_request *request, int on)
{
	return -EOPNOTSUPP;
}

/* As in vcan: a frame that was sent comes back as if it had arrived, and here it gets its stamp. */
static netdev_tx_t hwvcan_xmit(struct sk_buff *skb, struct net_device *netdev)
{
	struct hwvcan *dev = netdev_priv(netdev);
	unsigned long flags;
	unsigned int len;
	bool echo;
	u64 now;

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
	if (can_dropped_invalid_skb(netdev, skb))
#else
	if (can_dev_dropped_skb(netdev, skb))
#endif
		return NETDEV_TX_OK;

	len = can_skb_get_data_len(skb);
	netdev->stats.tx_packets++;
	netdev->stats.tx_bytes += len;
	skb_tx_timestamp(skb);
	echo = skb->pkt_type == PACKET_LOOPBACK;
	if (!echo) {
		consume_skb(skb);
		return NETDEV_TX_OK;
	}
	skb = can_create_echo_skb(skb);
	if (!skb)
		return NETDEV_TX_OK;
	netdev->stats.rx_packets++;
	netdev->stats.rx_bytes += len;
	skb->pkt_type = PACKET_BROADCAST;
	skb->dev = netdev;
	skb->ip_summed = CHECKSUM_UNNECESSARY;
	spin_lock_irqsave(&dev->lock, flags);
	now = clock_read(dev);
	spin_unlock_irqrestore(&dev->lock, flags);
	skb_hwtstamps(skb)->hwtstamp = ns_to_ktime(now - early_ns);
	netif_rx(skb);
	return NETDEV_TX_OK;
}

static int hwvcan_change_mtu(struct net_device *netdev, int mtu)
{
	if (netdev->flags & IFF_UP)
		return -EBUSY;
	if (mtu != CAN_MTU && mtu != CANFD_MTU)
		return -EINVAL;
	netdev->mtu = mtu;
	return 0;
}

/* Stamps cannot be switched off, as in mainline's CAN drivers. */
static const struct net_device_ops hwvcan_ops = {
	.ndo_start_xmit = hwvcan_xmit,
	.ndo_change_mtu = hwvcan_change_mtu,
	.ndo_eth_ioctl = can_eth_ioctl_hwts,
};

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 11, 0)
#define kernel_ethtool_ts_info ethtool_ts_info
#endif
static int hwvcan_ts_info(struct net_device *netdev, struct kernel_ethtool_ts_info *info)
{
	struct hwvcan *dev = netdev_priv(netdev);

	info->so_timestamping = SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_RX_SOFTWARE |
				SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_RX_HARDWARE |
				SOF_TIMESTAMPING_RAW_HARDWARE;
	info->phc_index = dev->ptp ? ptp_clock_index(dev->ptp) : -1;
	info->tx_types = BIT(HWTSTAMP_TX_OFF);
	info->rx_filters = BIT(HWTSTAMP_FILTER_NONE) | BIT(HWTSTAMP_FILTER_ALL);
	return 0;
}

static const struct ethtool_ops hwvcan_ethtool_ops = { .get_ts_info = hwvcan_ts_info };

static void hwvcan_setup(struct net_device *netdev)
{
	struct hwvcan *dev = netdev_priv(netdev);

	netdev->type = ARPHRD_CAN;
	netdev->mtu = CANFD_MTU;
	netdev->flags = IFF_NOARP | IFF_ECHO;
	netdev->netdev_ops = &hwvcan_ops;
	netdev->ethtool_ops = &hwvcan_ethtool_ops;
	netdev->needs_free_netdev = true;
	can_set_ml_priv(netdev, &dev->ml);
}

static const struct ptp_clock_info hwvcan_clock = {
	.owner = THIS_MODULE,
	.name = "hwvcan",
	.max_adj = 100000000,
	.adjfine = hwvcan_adjfine,
	.adjtime = hwvcan_adjtime,
	.gettimex64 = hwvcan_gettimex,
	.settime64 = hwvcan_settime,
	.enable = hwvcan_enable,
};

static void hwvcan_forget_clock(struct hwvcan *dev)
{
	if (dev->ptp)
		ptp_clock_unregister(dev->ptp);
	dev->ptp = NULL;
}

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 15, 0)
static int hwvcan_newlink(struct net *net, struct net_device *netdev, struct nlattr *tb[], struct nlattr *data[],
			  struct netlink_ext_ack *ack)
#else
static int hwvcan_newlink(struct net_device *netdev, struct rtnl_newlink_params *params, struct netlink_ext_ack *ack)
#endif
{
	struct hwvcan *dev = netdev_priv(netdev);
	int error;

	spin_lock_init(&dev->lock);
	clock_set(dev, ktime_get_real_ns());
	if (phc) {
		struct ptp_clock *ptp;

		dev->info = hwvcan_clock;
		ptp = ptp_clock_register(&dev->info, NULL);
		if (IS_ERR(ptp))
			return PTR_ERR(ptp);
		dev->ptp = ptp;
	}
	error = register_netdevice(netdev);
	if (error)
		hwvcan_forget_clock(dev);
	return error;
}

static void hwvcan_dellink(struct net_device *netdev, struct list_head *head)
{
	unregister_netdevice_queue(netdev, head);
	hwvcan_forget_clock(netdev_priv(netdev));
}

static struct rtnl_link_ops hwvcan_link_ops __read_mostly = {
	.kind = "hwvcan",
	.priv_size = sizeof(struct hwvcan),
	.setup = hwvcan_setup,
	.newlink = hwvcan_newlink,
	.dellink = hwvcan_dellink,
};

static int __init hwvcan_init(void)
{
	return rtnl_link_register(&hwvcan_link_ops);
}

static void __exit hwvcan_exit(void)
{
	rtnl_link_unregister(&hwvcan_link_ops);
}

module_init(hwvcan_init);
module_exit(hwvcan_exit);
MODULE_ALIAS_RTNL_LINK("hwvcan");
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Virtual CAN with hardware stamps");
