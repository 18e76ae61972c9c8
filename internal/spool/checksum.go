package spool

import "hash/crc32"

// checksum is the CRC-32C of what was written to it.
//
// The library prepares tables for the processor's own instruction first, which
// takes as long as 80 kB do without it: a tenth of what it costs to keep a short
// message, in a process that does nothing else. So the first octets go without.
type checksum struct {
	sum  uint32
	done int // octets that have gone without
}

// slowMost is how many octets go without.
const slowMost = 16 << 10

func (c *checksum) Write(p []byte) (int, error) {
	n := min(len(p), slowMost-c.done)
	c.done += n
	c.sum = slowly(c.sum, p[:n])
	if n < len(p) {
		c.sum = crc32.Update(c.sum, castagnoli(), p[n:])
	}
	return len(p), nil
}

func checksumOf(p []byte) uint32 {
	var c checksum
	_, _ = c.Write(p) // never fails
	return c.sum
}

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// slowly adds octets to a CRC-32C, half an octet at a time.
func slowly(sum uint32, p []byte) uint32 {
	// What four bits do to the register: the polynomial 0x82f63b78, reflected.
	table := [16]uint32{
		0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
		0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
	}
	sum = ^sum
	for _, b := range p {
		sum ^= uint32(b)
		sum = table[sum&15] ^ sum>>4
		sum = table[sum&15] ^ sum>>4
	}
	return ^sum
}
