// SPDX-License-Identifier: GPL-2.0-only
/*
 * gpio-loop: a GPIO chip with 16 lines in which line n and line n + 8 are wired together: what one drives the other
 * reads, and a change of level is an edge event there. For tests.
 */
#include <linux/bitops.h>
#include <linux/gpio/driver.h>
#include <linux/irq_work.h>
#include <linux/irqdomain.h>
#include <linux/module.h>
#include <linux/platform_device.h>

#define LINES 16
#define PARTNER(line) ((line) ^ (LINES / 2))

struct gpio_loop {
	struct gpio_chip chip;
	struct irq_work edges;
	spinlock_t lock;
	unsigned long outputs, levels, rising, falling, unmasked, pending;
};

static struct gpio_loop *loop;

/* The level that a line has: what it drives, else what its partner drives, else low. */
static bool level(unsigned int line)
{
	if (test_bit(line, &loop->outputs))
		return test_bit(line, &loop->levels);
	return test_bit(PARTNER(line), &loop->outputs) && test_bit(PARTNER(line), &loop->levels);
}

static void gpio_loop_set(struct gpio_chip *chip, unsigned int line, int value)
{
	unsigned int partner = PARTNER(line);
	unsigned long flags;
	bool before, after;

	spin_lock_irqsave(&loop->lock, flags);
	before = level(partner);
	__assign_bit(line, &loop->levels, value);
	after = level(partner);
	if (before != after && test_bit(partner, after ? &loop->rising : &loop->falling) &&
	    test_bit(partner, &loop->unmasked)) {
		__set_bit(partner, &loop->pending);
		irq_work_queue(&loop->edges);
	}
	spin_unlock_irqrestore(&loop->lock, flags);
}

/* Runs as an interrupt does. */
static void gpio_loop_edges(struct irq_work *work)
{
	unsigned int line;

	for (line = 0; line < LINES; line++)
		if (test_and_clear_bit(line, &loop->pending))
			generic_handle_domain_irq(loop->chip.irq.domain, line);
}

static int gpio_loop_get(struct gpio_chip *chip, unsigned int line)
{
	unsigned long flags;
	bool high;

	spin_lock_irqsave(&loop->lock, flags);
	high = level(line);
	spin_unlock_irqrestore(&loop->lock, flags);
	return high;
}

static int gpio_loop_direction(struct gpio_chip *chip, unsigned int line)
{
	return test_bit(line, &loop->outputs) ? GPIO_LINE_DIRECTION_OUT : GPIO_LINE_DIRECTION_IN;
}

static int gpio_loop_input(struct gpio_chip *chip, unsigned int line)
{
	clear_bit(line, &loop->outputs);
	return 0;
}

static int gpio_loop_output(struct gpio_chip *chip, unsigned int line, int value)
{
	set_bit(line, &loop->outputs);
	gpio_loop_set(chip, line, value);
	return 0;
}

static void gpio_loop_irq_mask(struct irq_data *data)
{
	clear_bit(irqd_to_hwirq(data), &loop->unmasked);
	gpiochip_disable_irq(&loop->chip, irqd_to_hwirq(data));
}

static void gpio_loop_irq_unmask(struct irq_data *data)
{
	gpiochip_enable_irq(&loop->chip, irqd_to_hwirq(data));
	set_bit(irqd_to_hwirq(data), &loop->unmasked);
}

static int gpio_loop_irq_type(struct irq_data *data, unsigned int type)
{
	if (type & ~IRQ_TYPE_EDGE_BOTH)
		return -EINVAL;
	assign_bit(irqd_to_hwirq(data), &loop->rising, type & IRQ_TYPE_EDGE_RISING);
	assign_bit(irqd_to_hwirq(data), &loop->falling, type & IRQ_TYPE_EDGE_FALLING);
	return 0;
}

static const struct irq_chip gpio_loop_irq_chip = {
	.name = "gpio-loop",
	.irq_mask = gpio_loop_irq_mask,
	.irq_unmask = gpio_loop_irq_unmask,
	.irq_set_type = gpio_loop_irq_type,
	.flags = IRQCHIP_IMMUTABLE,
	GPIOCHIP_IRQ_RESOURCE_HELPERS,
};

static struct platform_device *device;

static int __init gpio_loop_init(void)
{
	struct gpio_chip *chip;
	int error;

	device = platform_device_register_simple("gpio-loop", PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(device))
		return PTR_ERR(device);
	loop = kzalloc(sizeof(*loop), GFP_KERNEL);
	if (!loop) {
		error = -ENOMEM;
		goto no_memory;
	}
	spin_lock_init(&loop->lock);
	init_irq_work(&loop->edges, gpio_loop_edges);
	chip = &loop->chip;
	chip->label = "gpio-loop";
	chip->owner = THIS_MODULE;
	chip->parent = &device->dev;
	chip->base = -1;
	chip->ngpio = LINES;
	chip->get = gpio_loop_get;
	chip->set = gpio_loop_set;
	chip->get_direction = gpio_loop_direction;
	chip->direction_input = gpio_loop_input;
	chip->direction_output = gpio_loop_output;
	gpio_irq_chip_set_chip(&chip->irq, &gpio_loop_irq_chip);
	chip->irq.handler = handle_simple_irq;
	chip->irq.default_type = IRQ_TYPE_NONE;
	error = gpiochip_add_data(chip, loop);
	if (!error)
		return 0;
	kfree(loop);
no_memory:
	platform_device_unregister(device);
	return error;
}

static void __exit gpio_loop_exit(void)
{
	gpiochip_remove(&loop->chip);
	irq_work_sync(&loop->edges);
	kfree(loop);
	platform_device_unregister(device);
}

module_init(gpio_loop_init);
module_exit(gpio_loop_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("GPIO lines wired together in pairs");
