// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
//go:build ignore

/*
 * wsktally accounts for the packets of blast where they arrive, and drops them: what package account does for sockets, in front of the
 * kernel's stack. It takes UDP datagrams to the port and to an address of this host, whole and in one piece, untagged or with a tag of a
 * VLAN of the interface. Everything else passes and is not touched: other ports, fragments, extension headers, groups, frames that may be
 * several datagrams, what the kernel has to judge. A socket on the port counts what of that was meant for it.
 *
 *   run  ──► slot ──► stream ──► its state under a lock, and a cell of its window for each 32 numbers
 *
 * A cell says in its upper half which numbers its bits are of, so that none has to be cleared when the window moves on. A stream whose packets
 * come over several queues has one state all the same.
 */
#include "kernel.h"

char _license[] SEC("license") = "Dual BSD/GPL";

#define STREAMS 1024
#define STAMP 18
#define MAGIC 0xd7a5
#define WARMUP 0xd7a8 /* in its place, before a run */
#define MASK ((1ULL << 48) - 1) /* of numbers and times in a stamp */
#define JUMP (1ULL << 32) /* what is further ahead was never sent */
#define LONGEST 4088 /* of UDP: a page, which is more than one buffer of a driver holds */
#define TEXT 4096
#define ENDED 0xffffffff /* in wsktally_runs: what comes is late */
#define TIMES 4096 /* of a run */

/* Set by the loader before the program is loaded, for one interface. */
struct tally_config {
	__u64 window; /* how many numbers of a stream are told apart */
	__u64 cells; /* of a window: one more than it has */
	__u32 stamps; /* whether stamps are looked at */
	__u32 merged; /* whether a frame may be several datagrams that nobody has cut: see wskxdp_merged in bpf/wskxdp.c */
	__u32 tagged; /* whether there are any in wsktally_vlans */
	__u32 place; /* of the interface, in wsktally_vlans */
	__u8 mac[6];
	__be16 port;
};
const volatile struct tally_config wsktally_config = {};
#define config wsktally_config

struct tally_slot {
	__u32 smallest, largest; /* of payloads, as a peer has announced them; 0: nobody has */
	__u32 compare; /* how many bytes of payloads are compared */
	__u32 timed; /* whether the times on the way are measured */
	__u32 said; /* whether wsktally_sent is known */
	__u32 used, run; /* whether somebody has it, and which run that is */
	__u32 windows; /* that its streams have */
};

struct tally_text {
	__u8 bytes[TEXT]; /* what is behind the stamps */
};

struct tally_counts {
	__u64 packets; /* that came */
	__u64 corrupt; /* of the wrong size, with another payload, or with a number that was not sent */
	__u64 refused; /* of a stream for which there is no window */
	__u64 first, last; /* times, in the kernel's coarse monotonic clock */
};

struct tally_totals {
	__u64 packets, bytes, foreign; /* those in wsktally_late are not among them */
	__u64 warmup; /* of the packets, and not foreign */
	__u64 bad_checksum; /* of none of these */
	__u64 late_unread; /* of a run that had ended, while wsktally_late was full: of none of these */
};

struct tally_stream {
	struct bpf_spin_lock lock;
	__u32 owner; /* slot * STREAMS + stream, plus 1 */
	__u64 next; /* above the highest number seen */
	__u64 lowest; /* seen, if any was received */
	__u64 received, reordered, extent, duplicate, late, corrupt;
};

/* What came of a run that has ended: the beginning of its stamp, and the length of its payload. */
struct tally_late {
	__u64 first, second;
	__u32 length, zero;
};

struct tally_windows {
	__u32 of[STREAMS]; /* plus 1 */
};

struct tally_sent {
	__u64 numbers[STREAMS]; /* that were given out */
};

/* How many packets were so long on the way: 128 steps to each power of two, as in an HdrHistogram of two digits. */
struct tally_times {
	__u64 n[TIMES];
};

struct tally_address {
	__be32 addr[4]; /* IPv4 in the first */
	__u32 family; /* 4 or 6 */
};

/* The slot of each run, plus 1; or ENDED. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, __u32);
} wsktally_runs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* the loader: slots */
	__type(key, __u32);
	__type(value, struct tally_slot);
} wsktally_slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* the loader: slots */
	__type(key, __u32);
	__type(value, struct tally_text);
} wsktally_texts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1); /* the loader: slots */
	__type(key, __u32);
	__type(value, struct tally_counts);
} wsktally_counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tally_totals);
} wsktally_totals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* the loader: slots */
	__type(key, __u32);
	__type(value, struct tally_sent);
} wsktally_sent SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* the loader: slots */
	__type(key, __u32);
	__type(value, struct tally_windows);
} wsktally_windows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* the loader: windows */
	__type(key, __u32);
	__type(value, struct tally_stream);
} wsktally_streams SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* the loader: windows * cells */
	__type(key, __u32);
	__type(value, __u64);
} wsktally_cells SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* the loader: slots */
	__type(key, __u32);
	__type(value, struct tally_times);
} wsktally_times SEC(".maps");

/* Slots and windows that nobody has. */
struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 1); /* the loader: slots */
	__type(value, __u32);
} wsktally_spare SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 1); /* the loader: windows */
	__type(value, __u32);
} wsktally_free SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 1024);
	__type(value, struct tally_late);
} wsktally_late SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1); /* the loader */
	__type(key, struct tally_address);
	__type(value, __u32);
} wsktally_local SEC(".maps");

/* A bit for each VLAN, for each interface. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4096 / 64); /* the loader: that for each interface */
	__type(key, __u32);
	__type(value, __u64);
} wsktally_vlans SEC(".maps");

/* unknown keeps the compiler from leaving out a check that the verifier needs, for it knows less of a number than the compiler. */
#define unknown(number) asm volatile("" : "+r"(number))

static __always_inline __u64 halves(__u64 word)
{
	return (word & 0xffffffff) + (word >> 32);
}

static __always_inline __u32 fold(__u64 sum)
{
	sum = halves(sum);
	sum = halves(sum);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u32)sum;
}

/* claim takes a number out of a queue for an entry that is 0, and returns what the entry is then: a number plus 1, or 0 if there is none left. */
static __always_inline __u32 claim(void *queue, __u32 *entry)
{
	__u32 number = 0, was;

	if (bpf_map_pop_elem(queue, &number))
		return 0;
	was = __sync_val_compare_and_swap(entry, 0, number + 1);
	if (!was)
		return number + 1;
	bpf_map_push_elem(queue, &number, 0); /* somebody else was faster */
	return was;
}

/* full is the number of a stamp, of which 48 bits are there: the one that is nearest to the highest seen. */
static __always_inline __u64 full(__u64 sequence, __u64 next)
{
	__u64 ahead = (sequence - next) & MASK, behind = MASK + 1 - ahead;

	if (ahead <= MASK / 2)
		return next + ahead;
	return behind > next ? sequence : next - behind;
}

/* take accounts for a number of a stream, and returns whether it is received. */
static __always_inline int take(struct tally_stream *s, __u64 *cell, __u64 number, int joined)
{
	__u64 tag = number >> 5 << 32, bit = 1ULL << (number & 31), seen;
	int received = 0;

	bpf_spin_lock(&s->lock);
	if (joined && !s->next)
		s->next = number; /* the first that comes, however high it is */
	if (number >= s->next + JUMP) {
		s->corrupt++;
	} else if (number < s->next && s->next - number > config.window) {
		s->late++;
	} else {
		seen = *cell;
		if ((seen ^ tag) >> 32)
			seen = tag; /* bits of older numbers */
		if (seen & bit) {
			s->duplicate++;
		} else {
			*cell = seen | bit;
			if (!s->received || number < s->lowest)
				s->lowest = number;
			s->received++;
			received = 1;
			if (number >= s->next) {
				s->next = number + 1;
			} else {
				s->reordered++;
				if (s->next - 1 - number > s->extent)
					s->extent = s->next - 1 - number;
			}
		}
	}
	bpf_spin_unlock(&s->lock);
	return received;
}

/* place is where a time is counted. */
static __always_inline __u32 place(__u64 ns)
{
	__u32 shift = 0;

	if (ns > 100000000000)
		ns = 100000000000;
	if (!ns)
		ns = 1;
	if (ns >> 24) {
		shift = 17;
		ns >>= 17;
	}
	if (ns >> 16) {
		shift += 9;
		ns >>= 9;
	}
	if (ns >> 12) {
		shift += 5;
		ns >>= 5;
	}
	if (ns >> 10) {
		shift += 3;
		ns >>= 3;
	}
	if (ns >> 9) {
		shift += 2;
		ns >>= 2;
	}
	if (ns >> 8) {
		shift++;
		ns >>= 1;
	}
	return shift * 128 + (__u32)ns;
}

/* record counts the time from a stamp to now. */
static __always_inline void record(__u32 slot, __u64 then)
{
	struct tally_times *times = bpf_map_lookup_elem(&wsktally_times, &slot);
	__u64 ns = (bpf_ktime_get_ns() - then) & MASK;

	if (ns > MASK / 2)
		ns = 0;
	if (times)
		__sync_fetch_and_add(&times->n[place(ns) & (TIMES - 1)], 1);
}

/* differs is whether what is behind the stamp, at a place of the packet, is not what was announced for a slot, as far as that is compared. It
 * is a function of its own so that the verifier follows its loops once. */
__attribute__((noinline)) int differs(struct xdp_md *ctx, __u32 at, __u32 length, __u32 slot)
{
	const __u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end, *body = data + (at & 127), *rest;
	struct tally_text *text = bpf_map_lookup_elem(&wsktally_texts, &slot);
	__u32 i, tail;

	if (!text || length > TEXT)
		return 0;
	for (i = 0; i < TEXT / 8; i++) {
		if (8 * i + 8 > length)
			break;
		if (body + 8 * i + 8 > end)
			return 1;
		if (*(__u64 *)(body + 8 * i) != *(const __u64 *)(text->bytes + 8 * i))
			return 1;
	}
	if (length < 8) {
		for (i = 0; i < 7; i++) {
			if (i >= length)
				break;
			if (body + i + 1 > end)
				return 1;
			if (body[i] != text->bytes[i])
				return 1;
		}
		return 0;
	}
	tail = length - 8; /* some of them again */
	if (tail > TEXT - 8)
		return 1;
	rest = body + tail;
	if (rest + 8 > end)
		return 1;
	return *(__u64 *)rest != *(const __u64 *)(text->bytes + tail);
}

/* straggler hands what comes of a run that has ended to user space, which knows what was missing. */
static __always_inline void straggler(struct tally_totals *t, __u64 first, __u64 second, __u32 length)
{
	struct tally_late late = { .first = first, .second = second, .length = length };

	if (bpf_map_push_elem(&wsktally_late, &late, 0))
		t->late_unread++;
}

/* run_of is the slot of a run, plus 1: one that packets begin gets one if there is one left. */
static __always_inline __u32 run_of(__u32 run)
{
	__u32 *entry = bpf_map_lookup_elem(&wsktally_runs, &run), slot;
	struct tally_slot *s;

	if (!entry)
		return 0;
	slot = *entry;
	if (slot)
		return slot;
	slot = claim(&wsktally_spare, entry);
	if (!slot || slot == ENDED)
		return slot;
	slot--;
	s = bpf_map_lookup_elem(&wsktally_slots, &slot);
	if (s) {
		s->run = run;
		s->used = 1;
	}
	return slot + 1;
}

/* number accounts for the stamp of a datagram of a slot. */
static __always_inline void number(struct tally_slot *announced, struct tally_counts *c, __u32 slot, __u64 first, __u64 second, __u64 then)
{
	__u32 stream = first >> 16 & (STREAMS - 1), owner = slot * STREAMS + stream + 1, window, key;
	struct tally_windows *windows = bpf_map_lookup_elem(&wsktally_windows, &slot);
	__u64 sequence = (first & 0xffff) << 32 | second >> 32, *cell;
	struct tally_stream *s;
	struct tally_sent *sent;

	if (!windows)
		return;
	window = windows->of[stream];
	if (!window) {
		window = claim(&wsktally_free, &windows->of[stream]);
		if (!window) {
			c->refused++;
			return;
		}
		__sync_fetch_and_add(&announced->windows, 1);
	}
	window--;
	s = bpf_map_lookup_elem(&wsktally_streams, &window);
	if (!s)
		return;
	if (s->owner != owner)
		s->owner = owner;
	sequence = full(sequence, s->next);
	if (announced->said) {
		sent = bpf_map_lookup_elem(&wsktally_sent, &slot);
		if (!sent || sequence >= sent->numbers[stream]) {
			c->corrupt++;
			return;
		}
	}
	key = window * (__u32)config.cells + (__u32)((sequence >> 5) % config.cells);
	cell = bpf_map_lookup_elem(&wsktally_cells, &key);
	if (!cell)
		return;
	if (take(s, cell, sequence, !announced->largest) && announced->timed)
		record(slot, then);
}

/* account is for a datagram to the port, whose payload is so long. */
static __always_inline void account(struct xdp_md *ctx, struct tally_totals *t, const __u8 *body, const __u8 *end, __u32 at, __u32 length)
{
	struct tally_slot *announced;
	struct tally_counts *c;
	__u64 first, second, now;
	__u32 slot;

	if (!config.stamps)
		goto counted;
	if (length < STAMP || body + STAMP > end)
		goto foreign;
	first = be64(*(__u64 *)body);
	second = be64(*(__u64 *)(body + 8));
	if (first >> 48 == WARMUP) {
		t->warmup++;
		goto counted;
	}
	if (first >> 48 != MAGIC || (first >> 16 & 0xffff) >= STREAMS)
		goto foreign;
	slot = run_of(first >> 32 & 0xffff);
	if (!slot)
		goto foreign;
	if (slot == ENDED) {
		straggler(t, first, second, length);
		return;
	}
	slot--;
	announced = bpf_map_lookup_elem(&wsktally_slots, &slot);
	c = bpf_map_lookup_elem(&wsktally_counts, &slot);
	if (!announced || !c)
		goto foreign;
	now = bpf_ktime_get_coarse_ns();
	if (!c->packets)
		c->first = now;
	c->packets++;
	c->last = now;
	if (announced->largest && (length < announced->smallest || length > announced->largest ||
				   (announced->compare && length > STAMP && differs(ctx, at + STAMP, length - STAMP, slot)))) {
		c->corrupt++;
		goto counted;
	}
	number(announced, c, slot, first, second, (second & 0xffffffff) << 16 | ntohs(*(__u16 *)(body + 16)));
	goto counted;
foreign:
	t->foreign++;
counted:
	t->packets++;
	t->bytes += length;
}

/* last is the last bytes of a word, as if it began with them and there were zeros behind. */
static __always_inline __u64 last(__u64 word, __u32 bytes)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return word >> (64 - 8 * bytes);
#else
	return word << (64 - 8 * bytes);
#endif
}

/* wrong is whether a checksum is, of a UDP datagram at a place of the packet whose pseudo-header has such a sum. It is a function of its own
 * as differs is. */
__attribute__((noinline)) int wrong(struct xdp_md *ctx, __u32 at, __u32 length, __u64 pseudo)
{
	const __u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end, *udp = data + (at & 127), *rest;
	__u64 sum = pseudo;
	__u32 i, tail;

	if (udp + 8 > end || length < 8 || length > LONGEST)
		return 1;
	for (i = 0; i < LONGEST / 8; i++) {
		if (8 * i + 8 > length)
			break;
		if (udp + 8 * i + 8 > end)
			return 1;
		sum += halves(*(__u64 *)(udp + 8 * i));
	}
	if (length & 7) {
		tail = length - 8; /* of the eight bytes from there the last ones are new */
		unknown(tail);
		rest = udp + (tail & 4095);
		if (rest + 8 > end)
			return 1;
		sum += halves(last(*(__u64 *)rest, length & 7));
	}
	return fold(sum) != 0xffff;
}

/* take_udp is for what follows an IP header that carries so much. */
static __always_inline int take_udp(struct xdp_md *ctx, __u32 udp_at, __u32 room, __u64 pseudo, int v6)
{
	const __u8 *at = (const __u8 *)(long)ctx->data + (udp_at & 127), *end = (void *)(long)ctx->data_end;
	const struct udphdr *udp = (const void *)at;
	struct tally_totals *t;
	__u32 length, zero = 0, open;

	if ((const __u8 *)(udp + 1) > end || udp->dst_port != config.port)
		return XDP_PASS;
	length = ntohs(udp->length);
	if (length < 8 || length > LONGEST || length != room)
		return XDP_PASS; /* the kernel knows what to make of it */
	unknown(length); /* Linux 6.1 knows nothing of the upper half of what was turned round */
	if (at + (length & 4095) > end)
		return XDP_PASS;
	pseudo += ntohs(IPPROTO_UDP) + (__u64)udp->length;
	open = fold(pseudo) == udp->checksum; /* left to the device, which a veth is too */
	if (open && config.merged)
		return XDP_PASS;
	t = bpf_map_lookup_elem(&wsktally_totals, &zero);
	if (!t)
		return XDP_PASS;
	if (udp->checksum ? !open && wrong(ctx, udp_at, length, pseudo) : v6) {
		t->bad_checksum++;
		return XDP_DROP;
	}
	account(ctx, t, at + 8, end, udp_at + 8, length - 8);
	return XDP_DROP;
}

/* whole is whether the checksum of an IPv4 header of so many bytes is right. */
static __always_inline int whole(const __u8 *header, const __u8 *end, __u32 size)
{
	__u64 sum = 0;
	__u32 i;

	for (i = 0; i < 15; i++) {
		if (4 * i + 4 > size)
			break;
		if (header + 4 * i + 4 > end)
			return 0;
		sum += *(__u32 *)(header + 4 * i);
	}
	return fold(sum) == 0xffff;
}

/* ours is whether an address is one that is listened on. */
static __always_inline int ours(const struct tally_address *to) { return !!bpf_map_lookup_elem(&wsktally_local, to); }

static __always_inline int vlan_is_ours(__be16 tci)
{
	__u32 id = ntohs(tci) & 0xfff, word = config.place * (4096 / 64) + (id >> 6);
	__u64 *bits;

	if (!id)
		return 1;
	if (!config.tagged)
		return 0;
	bits = bpf_map_lookup_elem(&wsktally_vlans, &word);
	return bits && *bits >> (id & 63) & 1;
}

/* inside_ip is for an IP header at a place of the packet. */
static __always_inline int inside_ip(struct xdp_md *ctx, __be16 proto, __u32 at)
{
	const __u8 *header = (const __u8 *)(long)ctx->data + at, *end = (void *)(long)ctx->data_end;
	const struct iphdr *ip = (const void *)header;
	const struct ip6hdr *ip6 = (const void *)header;
	struct tally_address to = {};
	__u64 pseudo = 0;
	__u32 i, size, total;

	if (proto == htons_const(ETH_P_IP)) {
		if ((const __u8 *)(ip + 1) > end || ip->version_ihl >> 4 != 4 || ip->protocol != IPPROTO_UDP || ip->fragment & htons_const(0x3fff))
			return XDP_PASS;
		size = (ip->version_ihl & 15) * 4;
		total = ntohs(ip->total_length);
		to.addr[0] = ip->dst;
		to.family = 4;
		if (size < 20 || total < size || !ours(&to) || !whole(header, end, size))
			return XDP_PASS;
		return take_udp(ctx, at + size, total - size, (__u64)ip->src + ip->dst, 0);
	}
	if (proto == htons_const(ETH_P_IPV6)) {
		if ((const __u8 *)(ip6 + 1) > end || ip6->version_class >> 4 != 6 || ip6->next_header != IPPROTO_UDP)
			return XDP_PASS;
		for (i = 0; i < 4; i++) {
			to.addr[i] = ip6->dst[i];
			pseudo += (__u64)ip6->src[i] + ip6->dst[i];
		}
		to.family = 6;
		if (!ours(&to))
			return XDP_PASS;
		return take_udp(ctx, at + sizeof(*ip6), ntohs(ip6->payload_length), pseudo, 1);
	}
	return XDP_PASS;
}

SEC("xdp")
int wsktally(struct xdp_md *ctx)
{
	const __u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	const struct ethhdr *eth = (const void *)data;
	const struct vlanhdr *tag = (const void *)(eth + 1);

	if ((const __u8 *)(eth + 1) > end)
		return XDP_PASS;
	if (*(__u32 *)eth->dst != *(const volatile __u32 *)config.mac || *(__u16 *)(eth->dst + 4) != *(const volatile __u16 *)(config.mac + 4))
		return XDP_PASS;
	if (eth->proto != htons_const(ETH_P_8021Q))
		return inside_ip(ctx, eth->proto, sizeof(*eth));
	if ((const __u8 *)(tag + 1) > end || !vlan_is_ours(tag->tci))
		return XDP_PASS;
	return inside_ip(ctx, tag->proto, sizeof(*eth) + sizeof(*tag));
}
