// SPDX-License-Identifier: Apache-2.0
//
// yardstick sends one frame, made beforehand, again and again through AF_XDP, and does nothing else: no frame is built, no request is
// completed. So it shows what the kernel's part of sending costs. docs/benchmarks.md compares with it; count what it sends at the
// far end of the link, as wsk-xdp bench does:
//
//	gcc -O2 -o yardstick scripts/yardstick.c
//	sudo wsk-xdp bench --external 'c=./yardstick -i {if} -q 0 -l {frame} -b 64 -B 256 -t {duration}'
//
// -i interface, -q queue, -l bytes of the frame without FCS, -b frames handed over at once, -B frames the kernel sends in one call
// (XDP_MAX_TX_SKB_BUDGET, Linux 6.18; its own limit is 32), -t seconds, -c processor to stay on.

#define _GNU_SOURCE
#include <errno.h>
#include <linux/if_xdp.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef XDP_MAX_TX_SKB_BUDGET
#define XDP_MAX_TX_SKB_BUDGET 9
#endif

enum { chunks = 2048, chunk_size = 2048, ring_size = 2048, headers = 14 + 20 + 8 };

static volatile sig_atomic_t over;

static void on_alarm(int signal) {
	(void)signal;
	over = 1;
}

static void fail(const char *what) {
	fprintf(stderr, "yardstick: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void set(int fd, int option, const void *value, socklen_t size, const char *what) {
	if (setsockopt(fd, SOL_XDP, option, value, size) != 0)
		fail(what);
}

// ring is one of the two that the kernel shares with this program. What this side has written or read so far is in its own
// variables; the other side's is read anew with each look.
struct ring {
	uint32_t *producer, *consumer, *flags;
	void *entries;
};

static struct ring map(int fd, const struct xdp_ring_offset *at, size_t entry, uint64_t page, const char *what) {
	char *memory = mmap(NULL, at->desc + ring_size * entry, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, page);
	if (memory == MAP_FAILED)
		fail(what);
	return (struct ring){(uint32_t *)(memory + at->producer), (uint32_t *)(memory + at->consumer),
			     (uint32_t *)(memory + at->flags), memory + at->desc};
}

// ip_checksum is the one's complement sum of an IPv4 header (RFC 791).
static uint16_t ip_checksum(const uint8_t *header) {
	uint32_t sum = 0;
	for (int i = 0; i < 20; i += 2)
		sum += header[i] << 8 | header[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

// make writes a UDP datagram from 10.77.0.1 to the discard port of 10.77.0.2, between the addresses that the laboratories of
// wsk-xdp have. It has no UDP checksum, which RFC 768 allows.
static void make(uint8_t *frame, int length) {
	static const uint8_t start[headers] = {
		2, 0, 0, 0, 0x0b, 1, 2, 0, 0, 0, 0x0a, 1, 8, 0,                           // Ethernet
		0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 77, 0, 1, 10, 77, 0, 2, // IPv4, DF
		0x27, 0x10, 0, 9, 0, 0, 0, 0,                                             // UDP
	};
	int packet = length - 14, datagram = packet - 20;
	memset(frame, 0, length);
	memcpy(frame, start, headers);
	frame[16] = packet >> 8, frame[17] = packet;
	frame[38] = datagram >> 8, frame[39] = datagram;
	uint16_t sum = ip_checksum(frame + 14);
	frame[24] = sum >> 8, frame[25] = sum;
}

int main(int argc, char **argv) {
	const char *interface = NULL;
	int queue = 0, length = 60, burst = 64, budget = 0, seconds = 3, processor = -1;
	for (int option; (option = getopt(argc, argv, "i:q:l:b:B:t:c:")) != -1;) {
		switch (option) {
		case 'i': interface = optarg; break;
		case 'q': queue = atoi(optarg); break;
		case 'l': length = atoi(optarg); break;
		case 'b': burst = atoi(optarg); break;
		case 'B': budget = atoi(optarg); break;
		case 't': seconds = atoi(optarg); break;
		case 'c': processor = atoi(optarg); break;
		default: return 2;
		}
	}
	if (!interface || length < headers || length > chunk_size || burst < 1 || burst > ring_size || seconds < 1) {
		fprintf(stderr, "usage: yardstick -i interface [-q queue] [-l %d..%d] [-b 1..%d] [-B budget] [-t seconds] [-c processor]\n",
			headers, chunk_size, ring_size);
		return 2;
	}
	if (processor >= 0) {
		cpu_set_t only;
		CPU_ZERO(&only);
		CPU_SET(processor, &only);
		if (sched_setaffinity(0, sizeof only, &only) != 0)
			fail("stay on a processor");
	}

	int fd = socket(AF_XDP, SOCK_RAW, 0);
	if (fd < 0)
		fail("open an AF_XDP socket");
	uint8_t *umem = mmap(NULL, (size_t)chunks * chunk_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (umem == MAP_FAILED)
		fail("map the UMEM");
	struct xdp_umem_reg umem_reg = {.addr = (uintptr_t)umem, .len = (uint64_t)chunks * chunk_size, .chunk_size = chunk_size};
	int size = ring_size;
	set(fd, XDP_UMEM_REG, &umem_reg, sizeof umem_reg, "register the UMEM");
	set(fd, XDP_UMEM_FILL_RING, &size, sizeof size, "make the fill ring"); // which bind wants
	set(fd, XDP_UMEM_COMPLETION_RING, &size, sizeof size, "make the completion ring");
	set(fd, XDP_TX_RING, &size, sizeof size, "make the TX ring");
	if (budget != 0 && setsockopt(fd, SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &budget, sizeof budget) != 0)
		fprintf(stderr, "yardstick: set the budget: %s; the kernel's own limit holds\n", strerror(errno));
	struct xdp_mmap_offsets at;
	socklen_t at_size = sizeof at;
	if (getsockopt(fd, SOL_XDP, XDP_MMAP_OFFSETS, &at, &at_size) != 0)
		fail("ask for the offsets of the rings");
	struct ring tx = map(fd, &at.tx, sizeof(struct xdp_desc), XDP_PGOFF_TX_RING, "map the TX ring");
	struct ring completion = map(fd, &at.cr, sizeof(uint64_t), XDP_UMEM_PGOFF_COMPLETION_RING, "map the completion ring");
	struct sockaddr_xdp address = {.sxdp_family = AF_XDP, .sxdp_flags = XDP_COPY | XDP_USE_NEED_WAKEUP,
				       .sxdp_ifindex = if_nametoindex(interface), .sxdp_queue_id = queue};
	// The kernel lets go of a queue some time after the socket before has been closed.
	for (int tries = 0; bind(fd, (struct sockaddr *)&address, sizeof address) != 0; tries++) {
		if (errno != EBUSY || tries == 200)
			fail("bind to the queue");
		usleep(10000);
	}

	static uint64_t pool[chunks];
	int idle = 0;
	for (uint64_t i = 0; i < chunks; i++) {
		make(umem + i * chunk_size, length);
		pool[idle++] = i * chunk_size;
	}
	struct xdp_desc *frames = tx.entries;
	uint64_t *done = completion.entries, sent = 0, calls = 0, busy = 0;
	uint32_t published = 0, taken = 0;
	signal(SIGALRM, on_alarm);
	alarm(seconds);
	while (!over) {
		uint32_t completed = __atomic_load_n(completion.producer, __ATOMIC_ACQUIRE);
		sent += completed - taken;
		for (; taken != completed; taken++)
			pool[idle++] = done[taken % ring_size];
		__atomic_store_n(completion.consumer, taken, __ATOMIC_RELEASE);

		int room = ring_size - (published - __atomic_load_n(tx.consumer, __ATOMIC_ACQUIRE));
		int n = burst < room ? burst : room;
		for (n = n < idle ? n : idle; n > 0; n--)
			frames[published++ % ring_size] = (struct xdp_desc){.addr = pool[--idle], .len = length};
		__atomic_store_n(tx.producer, published, __ATOMIC_RELEASE);

		if (!(__atomic_load_n(tx.flags, __ATOMIC_ACQUIRE) & XDP_RING_NEED_WAKEUP))
			continue;
		calls++;
		if (sendto(fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0) {
			// The budget is used up, the far end is full, or there is no memory for a moment.
			if (errno != EAGAIN && errno != EBUSY && errno != ENOBUFS)
				fail("send");
			busy++;
		}
	}
	printf("{\"completed\":%lu,\"seconds\":%d,\"sys_per_pkt\":%.5f,\"again\":%lu}\n", sent, seconds, (double)calls / (sent ? sent : 1), busy);
	return 0;
}
