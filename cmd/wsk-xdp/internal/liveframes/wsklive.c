// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
//go:build ignore

/*
 * wsklive turns copies of one frame, which BPF_PROG_RUN makes in its mode of live frames, into the packets of a run: each gets its
 * headers, its stamp and its checksums, and leaves through the interface in wsklive_out. What the interface does not take is counted by
 * wsklive_taken and wsklive_error, which listen to the kernel's tracepoints: the frames that a driver refuses are freed by the
 * kernel, and nobody else hears of them.
 *
 * A copy is used again and again within a call, and whoever got it on this machine may have written into it. So all of it is written each
 * time, but for what is behind the stamp.
 *
 * A flow is a pure function of its number, as in package flows: index = number * step + first, modulo the number of all flows, and its digits,
 * in a mixed base, are the address, the port and the source. Flows in turn need no multiplication and no division: the digits of step are
 * added to the digits of the last one. What must be the same as in Go is compared with it by a test, frame by frame.
 */
#include "kernel.h"

char _license[] SEC("license") = "Dual BSD/GPL";

#define STREAMS 1024
#define HEADER_WORDS 9 /* 72 bytes: Ethernet, two tags, IPv6 and UDP are 70 */

enum live_stamp {
	WSKLIVE_NONE,
	WSKLIVE_WSK,
	WSKLIVE_PKTGEN,
};

/* The place of a flow among all: its digits, of which the first counts up first. */
struct live_digits {
	__u64 address; /* to send to */
	__u64 port;
	__u64 source; /* address to send from */
	__u64 source_port;
};

/* What the run is. It is set before the program is loaded, and the verifier leaves out what it excludes. */
struct live_plan {
	__u64 header[HEADER_WORDS]; /* of a frame, with 0 wherever something is written: addresses, ports, lengths, checksums */
	__u64 to_high, to_low; /* the first address to send to, as numbers; IPv4 in the lowest 32 bits */
	__u64 from_high, from_low;
	__u64 flows; /* how many are used */
	__u64 all; /* how many there are */
	__u64 step; /* flow n has index n * step + first, modulo all */
	__u64 first;
	__u64 seed; /* of flows at random */
	__u64 interval; /* between two frames in nanoseconds, if this keeps the rate */
	__u64 slack; /* how late a frame may be, in nanoseconds: what is later is forfeited */
	struct live_digits base; /* how many there are of each */
	struct live_digits up; /* the digits of step */
	struct live_digits down; /* the digits of all - step */
	struct live_digits start; /* the digits of first */
	__u32 ip_at; /* where the IP header begins: 14, and 4 more with each tag */
	__u32 v6;
	__u32 random;
	__u32 stamp; /* enum live_stamp */
	__u32 streams;
	__u32 lane, stride; /* flow number n of this plan is number lane + n * stride of the run, of which it is one part of stride parts */
	__u32 sizes;
	__u32 ip_sum, udp_sum; /* of what is the same in all headers, words as they lie in memory */
	__u32 run;
	__u32 paced; /* this keeps the rate */
	__u32 fraction; /* of the interval, in units of 2^-32 ns */
	__u16 to_port, from_port; /* the first ones, as numbers */
};

/* How far the run is. */
struct live_state {
	__u64 left; /* frames that may still be made */
	__u64 made;
	__u64 unmade; /* copies that no frame could be written into, which is an error of ours */
	__u64 bytes; /* of frames made */
	__u64 redirected; /* made, and accepted by the kernel's redirection */
	__u64 taken; /* by the driver */
	__u64 refused; /* by the driver: its ring was full, its peer is down */
	__u64 undelivered; /* not handed to the driver: the link is down, the frame too long */
	__u64 gone; /* made when there was no interface any more */
	__u64 begun, last; /* when the first and the latest frame were made, in the kernel's monotonic time */
	__u64 clock; /* what is added to the kernel's monotonic time for the time of stamps */
	__u64 due; /* when the next frame is, in the kernel's monotonic time, if this keeps the rate */
	__u64 until; /* the last time at which one is */
	__u64 forfeited;
	__u64 drawn; /* flows that were drawn at random */
	__u64 flow, index;
	struct live_digits at; /* of the next flow */
	__u32 fraction; /* of due */
	__u32 stream, size, id, cpu;
	__s32 refusal, error; /* the latest, negative */
};

/* A size of frames, and the sum of what is behind the stamp in such a one, words as they lie in memory. */
struct live_size {
	__u32 length, sum;
};

const volatile struct live_plan wsklive_plan = {};
/* Not used: they put the types into the type information, where the Go ones are generated from. */
const volatile enum live_stamp wsklive_unused_stamp = 0;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct live_state);
} wsklive_state SEC(".maps");

/* Numbers given out, stream by stream. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, STREAMS);
	__type(key, __u32);
	__type(value, __u64);
} wsklive_sent SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* the loader */
	__type(key, __u32);
	__type(value, struct live_size);
} wsklive_sizes SEC(".maps");

/* For flows at random: what each byte of a flow's number adds to its index, that number being below 2^24. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 3 * 256);
	__type(key, __u32);
	__type(value, __u64);
} wsklive_steps SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} wsklive_out SEC(".maps");

#define plan wsklive_plan

static __always_inline __u32 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u32)sum;
}

static __always_inline __u64 halves(__u64 word)
{
	return (word & 0xffffffff) + (word >> 32);
}

/* mix is the finaliser of splitmix64, as in package flows. */
static __always_inline __u64 mix(__u64 z)
{
	z += 0x9e3779b97f4a7c15;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* up adds a digit, and down takes one off; each returns the carry. */
static __always_inline __u64 up(__u64 *digit, __u64 by, __u64 base, __u64 carry)
{
	*digit += by + carry;
	if (*digit < base)
		return 0;
	*digit -= base;
	return 1;
}

static __always_inline __u64 down(__u64 *digit, __u64 by, __u64 base, __u64 carry)
{
	by += carry;
	if (*digit >= by) {
		*digit -= by;
		return 0;
	}
	*digit += base - by;
	return 1;
}

/* next goes on to the next flow in turn. */
static __always_inline void next(struct live_state *s)
{
	__u64 c, turn;

	if (++s->flow == plan.flows) {
		s->flow = 0;
		s->stream = plan.lane;
		s->index = plan.first;
		s->at.address = plan.start.address;
		s->at.port = plan.start.port;
		s->at.source = plan.start.source;
		s->at.source_port = plan.start.source_port;
		return;
	}
	s->stream += plan.stride;
	if (s->stream >= plan.streams)
		s->stream -= plan.streams;
	turn = plan.all - plan.step;
	if (s->index < turn) {
		s->index += plan.step;
		c = up(&s->at.address, plan.up.address, plan.base.address, 0);
		c = up(&s->at.port, plan.up.port, plan.base.port, c);
		c = up(&s->at.source, plan.up.source, plan.base.source, c);
		up(&s->at.source_port, plan.up.source_port, plan.base.source_port, c);
		return;
	}
	s->index -= turn;
	c = down(&s->at.address, plan.down.address, plan.base.address, 0);
	c = down(&s->at.port, plan.down.port, plan.base.port, c);
	c = down(&s->at.source, plan.down.source, plan.base.source, c);
	down(&s->at.source_port, plan.down.source_port, plan.base.source_port, c);
}

/* part is what a byte of a flow's number, at place 0, 1 or 2, adds to its index. */
static __always_inline __u64 part(__u64 index, __u64 byte, __u32 place)
{
	__u32 key = place << 8 | (byte & 255);
	__u64 *more = bpf_map_lookup_elem(&wsklive_steps, &key);

	if (more)
		index += *more;
	return index < plan.all ? index : index - plan.all;
}

/* draw takes a flow at random: number k of them is a pure function of k and the seed. */
static __always_inline void draw(struct live_state *s)
{
	__u64 n = (mix(plan.seed + s->drawn * 0x9e3779b97f4a7c15) >> 24) * plan.flows >> 40;
	__u64 index = plan.first;

	s->drawn++;
	s->flow = n;
	s->stream = (plan.lane + n * plan.stride) % plan.streams;
	index = part(index, n, 0);
	index = part(index, n >> 8, 1);
	index = part(index, n >> 16, 2);
	s->at.address = index % plan.base.address;
	index /= plan.base.address;
	s->at.port = index % plan.base.port;
	index /= plan.base.port;
	s->at.source = index % plan.base.source;
	s->at.source_port = index / plan.base.source % plan.base.source_port;
}

/* put_stamp writes the stamp, and returns the sum of its words. */
static __always_inline __u64 put_stamp(__u8 *at, struct live_state *s, __u64 number)
{
	__u64 now = s->last + s->clock, first, second;

	if (plan.stamp == WSKLIVE_WSK) {
		first = be64((__u64)0xd7a5 << 48 | (__u64)plan.run << 32 | (__u64)s->stream << 16 | (number >> 32 & 0xffff));
		second = be64(number << 32 | (now >> 16 & 0xffffffff));
		*(__u64 *)at = first;
		*(__u64 *)(at + 8) = second;
		*(__be16 *)(at + 16) = ntohs((__u16)now);
		return halves(first) + halves(second) + ntohs((__u16)now);
	}
	first = be64((__u64)0xbe9be955 << 32 | (__u32)number);
	second = be64(now / 1000000000 << 32 | now % 1000000000 / 1000);
	*(__u64 *)at = first;
	*(__u64 *)(at + 8) = second;
	return halves(first) + halves(second);
}

/* put4 and put6 write what differs in the IP header, and return the sum of the addresses. */
static __always_inline __u64 put4(__u8 *at, struct live_state *s, __u32 room)
{
	struct iphdr *ip = (void *)at;
	__be32 src = ntohl((__u32)(plan.from_low + s->at.source)), dst = ntohl((__u32)(plan.to_low + s->at.address));
	__be16 length = ntohs((__u16)(20 + room)), id;

	s->id++;
	id = ntohs((__u16)s->id);
	ip->total_length = length;
	ip->id = id;
	ip->src = src;
	ip->dst = dst;
	ip->checksum = ~fold((__u64)plan.ip_sum + length + id + src + dst);
	return (__u64)src + dst;
}

static __always_inline __u64 put_address(__be32 *at, __u64 high, __u64 low, __u64 more)
{
	__u64 sum = low + more;
	__u64 words[2];

	words[0] = be64(high + (sum < low));
	words[1] = be64(sum);
	*(__u64 *)at = words[0];
	*(__u64 *)(at + 2) = words[1];
	return halves(words[0]) + halves(words[1]);
}

static __always_inline __u64 put6(__u8 *at, struct live_state *s, __u32 room)
{
	struct ip6hdr *ip = (void *)at;

	ip->payload_length = ntohs((__u16)room);
	return put_address(ip->src, plan.from_high, plan.from_low, s->at.source) +
	       put_address(ip->dst, plan.to_high, plan.to_low, s->at.address);
}

/* make writes the next frame of the run. It returns 0 where the copy is none that it can be written into. */
static __always_inline int make(struct xdp_md *ctx, struct live_state *s)
{
	__u32 stamp = plan.stamp == WSKLIVE_WSK ? 18 : plan.stamp == WSKLIVE_PKTGEN ? 16 : 0;
	__u32 udp_at = plan.ip_at + (plan.v6 ? 40 : 20), room, key, i;
	__u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct live_size *size;
	struct udphdr *udp;
	__u64 sum, *sent;

	key = s->size;
	size = bpf_map_lookup_elem(&wsklive_sizes, &key);
	if (!size)
		return 0;
	if (plan.sizes > 1) {
		if (++s->size == plan.sizes)
			s->size = 0;
		if (bpf_xdp_adjust_tail(ctx, (int)size->length - (int)(end - data)))
			return 0;
		data = (void *)(long)ctx->data;
		end = (void *)(long)ctx->data_end;
	}
	if (data + udp_at + 8 + stamp > end)
		return 0;
#pragma unroll
	for (i = 0; i < HEADER_WORDS; i++)
		if (8 * (i + 1) <= udp_at + 8)
			((__u64 *)data)[i] = plan.header[i];
	/* What is left of the header is of UDP, and written below. */
	room = size->length - udp_at;
	sum = plan.v6 ? put6(data + plan.ip_at, s, room) : put4(data + plan.ip_at, s, room);
	udp = (void *)(data + udp_at);
	udp->src_port = ntohs((__u16)(plan.from_port + s->at.source_port));
	udp->dst_port = ntohs((__u16)(plan.to_port + s->at.port));
	udp->length = ntohs((__u16)room);
	/* The length counts twice: in the header, and in the pseudo-header. */
	sum += (__u64)plan.udp_sum + udp->src_port + udp->dst_port + 2 * (__u64)udp->length + size->sum;
	if (stamp) {
		key = s->stream;
		sent = bpf_map_lookup_elem(&wsklive_sent, &key);
		if (!sent)
			return 0;
		sum += put_stamp(data + udp_at + 8, s, *sent);
		++*sent;
	}
	udp->checksum = ~fold(sum);
	if (!udp->checksum)
		udp->checksum = 0xffff;
	s->bytes += size->length;
	return 1;
}

/* is_due is whether a frame is, which is then taken for sent. */
static __always_inline int is_due(struct live_state *s, __u64 now)
{
	__u64 missed, fraction;

	if (s->due > now || s->due > s->until)
		return 0;
	if (now - s->due > plan.slack) {
		if (now - plan.slack > s->until)
			missed = (s->until - s->due) / plan.interval + 1; /* all that are left */
		else
			missed = (now - plan.slack - s->due) / plan.interval;
		s->forfeited += missed;
		s->due += missed * plan.interval + (missed * plan.fraction >> 32);
		if (s->due > s->until)
			return 0;
	}
	fraction = (__u64)s->fraction + plan.fraction;
	s->fraction = (__u32)fraction;
	s->due += plan.interval + (fraction >> 32);
	return 1;
}

SEC("xdp")
int wsklive(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct live_state *s = bpf_map_lookup_elem(&wsklive_state, &zero);
	__u64 now;

	if (!s || !s->left)
		return XDP_DROP;
	now = s->last;
	if (plan.paced || plan.stamp || !(s->made & 63))
		now = bpf_ktime_get_ns();
	if (plan.paced && !is_due(s, now))
		return XDP_DROP;
	s->last = now;
	if (!s->made)
		s->begun = now;
	if (plan.random)
		draw(s);
	if (!make(ctx, s)) {
		s->unmade++;
		s->left = 0;
		return XDP_DROP;
	}
	if (!plan.random)
		next(s);
	s->left--;
	s->made++;
	s->cpu = bpf_get_smp_processor_id();
	if (bpf_redirect_map(&wsklive_out, 0, XDP_DROP) != XDP_REDIRECT) {
		s->gone++; /* the interface is, and its entry of the map with it */
		s->left = 0;
		return XDP_DROP;
	}
	s->redirected++;
	return XDP_REDIRECT;
}

/* ours is the state of the run, if what the kernel says is about frames of it: they are the only ones that are under way on the processor of
 * the call, which nothing interrupts that sends frames of others. */
static __always_inline struct live_state *ours(__u64 *under_way)
{
	__u32 zero = 0;
	struct live_state *s = bpf_map_lookup_elem(&wsklive_state, &zero);

	if (!s || s->cpu != bpf_get_smp_processor_id())
		return 0;
	*under_way = s->redirected - s->taken - s->refused - s->undelivered;
	return s;
}

/* void (const struct net_device *from, const struct net_device *to, int sent, int drops, int err) */
SEC("raw_tracepoint/xdp_devmap_xmit")
int wsklive_taken(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 sent = (__u32)ctx->args[2], drops = (__u32)ctx->args[3];
	__u64 under_way;
	struct live_state *s = ours(&under_way);

	if (!s || ((__u64)sent + drops != under_way && (__u64)sent + drops + 1 != under_way))
		return 0;
	s->taken += sent;
	s->refused += drops;
	if (drops)
		s->refusal = (__s32)ctx->args[4];
	return 0;
}

/* void (const struct net_device *dev, const struct bpf_prog *xdp, const void *target, int err, ...) */
SEC("raw_tracepoint/xdp_redirect_err")
int wsklive_error(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 under_way;
	struct live_state *s = ours(&under_way);

	if (!s || !under_way)
		return 0;
	s->undelivered++;
	s->error = (__s32)ctx->args[3];
	return 0;
}
