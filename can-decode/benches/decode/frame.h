#include <stdint.h>

struct frame {
    uint32_t id; /* bit 31: 29-bit identifier */
    uint8_t len;
    uint8_t padding[3];
    uint8_t data[64];
};
