// SPDX-License-Identifier: GPL-2.0-only
/*
 * i2c-regs: an I2C adapter with chips that are 256 bytes of registers each, at the addresses of chip_addr.
 *
 *   modprobe i2c-regs chip_addr=0x48,0x50
 *
 * Unlike i2c-stub it takes plain I2C messages (I2C_FUNC_I2C), which embedded-hal drivers send. For tests.
 */
#include <linux/i2c.h>
#include <linux/module.h>

#define CHIPS_MAX 8

static unsigned short chip_addr[CHIPS_MAX];
static int chips;
module_param_array(chip_addr, ushort, &chips, 0444);
MODULE_PARM_DESC(chip_addr, "addresses (7 bits) that answer");

static int nak;
module_param(nak, int, 0644);
MODULE_PARM_DESC(nak, "the next so many transfers are not acknowledged");

static u8 registers[CHIPS_MAX][256];
static u8 pointers[CHIPS_MAX];

static int chip_at(u16 address)
{
	int chip;

	for (chip = 0; chip < chips; chip++)
		if (chip_addr[chip] == address)
			return chip;
	return -ENXIO;
}

static int i2c_regs_xfer(struct i2c_adapter *adapter, struct i2c_msg *messages, int count)
{
	int i, j, chip;

	if (nak > 0) {
		nak--;
		return -ENXIO;
	}
	for (i = 0; i < count; i++) {
		struct i2c_msg *message = &messages[i];

		chip = chip_at(message->addr);
		if (chip < 0)
			return chip;
		if (message->flags & I2C_M_RD) {
			for (j = 0; j < message->len; j++)
				message->buf[j] = registers[chip][pointers[chip]++];
			continue;
		}
		/* The first byte written is the register, the rest its content and that of those that follow. */
		if (message->len)
			pointers[chip] = message->buf[0];
		for (j = 1; j < message->len; j++)
			registers[chip][pointers[chip]++] = message->buf[j];
	}
	return count;
}

static u32 i2c_regs_functionality(struct i2c_adapter *adapter)
{
	return I2C_FUNC_I2C | I2C_FUNC_SMBUS_EMUL;
}

static const struct i2c_algorithm i2c_regs_algorithm = {
	.master_xfer = i2c_regs_xfer,
	.functionality = i2c_regs_functionality,
};

static struct i2c_adapter i2c_regs_adapter = {
	.owner = THIS_MODULE,
	.class = I2C_CLASS_HWMON,
	.algo = &i2c_regs_algorithm,
	.name = "i2c-regs",
};

static int __init i2c_regs_init(void)
{
	return i2c_add_adapter(&i2c_regs_adapter);
}

static void __exit i2c_regs_exit(void)
{
	i2c_del_adapter(&i2c_regs_adapter);
}

module_init(i2c_regs_init);
module_exit(i2c_regs_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("I2C adapter with register files as chips");
