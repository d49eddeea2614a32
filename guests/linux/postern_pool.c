// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The pool of a port in mode direct: postern_pool.h says what it is. */
#include <linux/mm.h>
#include <linux/rtnetlink.h>

#include "abi/hypercall.h"
#include "postern_hypercall.h"
#include "postern_nic.h"
#include "postern_pool.h"

/* From so many pages on that were filled since, those that have come back are posted again: a
 * crossing for many of them. */
#define POSTERN_REFILL_PAGES 64u
/* At a time. */
#define POSTERN_REFILL_POSTS 32u

/* Of a queue. Slots of the port's pool are its pages, from the first one on. */
struct postern_pool {
	unsigned int first;
	unsigned int count; /* of pages: a power of two, once the pool is open */
	/* In this opening of the ring: page number n that was posted is in order[n % count]. */
	u32 posted;
	u32 filled;
	/* Pages that were filled and not posted since, oldest first, in the same way. */
	u32 filed;
	u32 reposted;
	struct page *pages[POSTERN_POSTED_MAX];
	u16 order[POSTERN_POSTED_MAX];
	u16 waiting[POSTERN_POSTED_MAX];
};

/* The slots are divided among all queues of the device, whether the interface uses them or not. */
static unsigned int postern_pool_share(const struct postern_nic *nic)
{
	return min_t(unsigned int, nic->pool_size / PAGE_SIZE / nic->queue_count,
		     POSTERN_POSTED_MAX);
}

int postern_pool_init(struct postern_nic *nic)
{
	struct device *device = &nic->pdev->dev;
	resource_size_t length = pci_resource_len(nic->pdev, POSTERN_BAR_POOL);
	unsigned int i;
	void *peer;

	if (!nic->pool_size)
		return 0;
	if (length < nic->pool_size)
		return dev_err_probe(device, -ENODEV, "BAR %u has %pa bytes for a pool of %#x\n",
				     POSTERN_BAR_POOL, &length, nic->pool_size);
	/* As the window: memory, in the port's view only. */
	peer = devm_memremap(device, pci_resource_start(nic->pdev, POSTERN_BAR_POOL),
			     nic->pool_size, MEMREMAP_WB);
	if (IS_ERR(peer))
		return PTR_ERR(peer);
	for (i = 0; i < nic->queue_count; i++)
		postern_ring_set_pool(&nic->queues[i].port.ring, peer, nic->pool_size);
	return 0;
}

static int postern_give(struct postern_nic *nic, unsigned int slot, struct page *page)
{
	long err = postern_hypercall3(POSTERN_HC_POOL_GIVE, nic->number, slot,
				      page_to_phys(page) | POSTERN_POOL_WRITE);

	if (!err)
		return 0;
	netdev_err(nic->dev, "a page cannot be given to the peer (%ld)\n", err);
	return err == POSTERN_ERR_NO_MEMORY ? -ENOMEM : -EIO;
}

/* The peer sees what is in a page that it has not written. */
static int postern_pool_add_page(struct postern_nic *nic, struct postern_pool *pool)
{
	struct page *page = alloc_page(GFP_KERNEL | __GFP_ZERO | __GFP_NOMEMALLOC);

	if (!page)
		return -ENOMEM;
	/* Also if it is not given: postern_pool_close lets go of it. */
	pool->pages[pool->count] = page;
	return postern_give(nic, pool->first + pool->count++, page);
}

static int postern_pool_open_queue(struct postern_queue *queue)
{
	struct postern_nic *nic = queue->nic;
	unsigned int share = postern_pool_share(nic);
	struct postern_pool *pool = kvzalloc(sizeof(*pool), GFP_KERNEL);
	int err = 0;

	if (!pool)
		return -ENOMEM;
	queue->own_pool = pool;
	pool->first = queue->index * share;
	while (pool->count < share && !err)
		err = postern_pool_add_page(nic, pool);
	return err;
}

int postern_pool_open(struct postern_nic *nic)
{
	unsigned int i;
	int err = 0;

	ASSERT_RTNL();
	for (i = 0; nic->pool_size && i < postern_used(nic) && !err; i++)
		err = postern_pool_open_queue(&nic->queues[i]);
	if (err)
		postern_pool_close(nic);
	return err;
}

/* A page that a packet still has lives on until that is gone. */
static void postern_pool_free(struct postern_queue *queue)
{
	struct postern_pool *pool = queue->own_pool;

	if (!pool)
		return;
	while (pool->count > 0)
		put_page(pool->pages[--pool->count]);
	kvfree(pool);
	queue->own_pool = NULL;
}

void postern_pool_close(struct postern_nic *nic)
{
	unsigned int i;

	ASSERT_RTNL();
	if (!nic->pool_size)
		return;
	/* Before they are anybody else's: on return the peer cannot reach them any more. */
	postern_hypercall(POSTERN_HC_POOL_TAKE, nic->number, POSTERN_POOL_ALL);
	for (i = 0; i < nic->queue_count; i++)
		postern_pool_free(&nic->queues[i]);
}

/* Keeps a page in mind that is not posted. */
static void postern_pool_file(struct postern_pool *pool, u16 page)
{
	pool->waiting[pool->filed++ % pool->count] = page;
}

/* Posts up to POSTERN_REFILL_POSTS of the oldest `looks` pages: those that nobody else has. */
static void postern_pool_post(struct postern_queue *queue, u32 looks)
{
	struct postern_pool *pool = queue->own_pool;
	struct postern_posted buffers[POSTERN_REFILL_POSTS];
	struct postern_gate_post post = {.buffers = buffers};

	while (looks-- > 0 && post.count < POSTERN_REFILL_POSTS) {
		u16 page = pool->waiting[pool->reposted++ % pool->count];

		/* Read before the post. Partner: the barrier in put_page of who had the page
		 * last, which comes after the reads of what is in it. */
		if (page_ref_count(pool->pages[page]) != 1) {
			postern_pool_file(pool, page);
			continue;
		}
		pool->order[(pool->posted + post.count) % pool->count] = page;
		buffers[post.count++] = (struct postern_posted){
			.offset = (pool->first + page) * PAGE_SIZE, .size = PAGE_SIZE};
	}
	if (!post.count)
		return;
	/* What is not posted, after an error, is at the next opening. */
	postern_gated_post(&queue->port, &post);
	pool->posted += post.done;
	postern_add(queue, POSTERN_POSTS, post.done);
}

void postern_pool_begin(struct postern_queue *queue)
{
	struct postern_pool *pool = queue->own_pool;
	unsigned int i;

	if (!pool)
		return;
	pool->posted = 0;
	pool->filled = 0;
	pool->filed = 0;
	pool->reposted = 0;
	for (i = 0; i < pool->count; i++)
		postern_pool_file(pool, i);
	for (i = 0; i < pool->count; i += POSTERN_REFILL_POSTS)
		postern_pool_post(queue, min(pool->count - i, POSTERN_REFILL_POSTS));
}

void postern_pool_refill(struct postern_queue *queue)
{
	struct postern_pool *pool = queue->own_pool;

	if (pool && pool->filed - pool->reposted >= min(POSTERN_REFILL_PAGES, pool->count / 2))
		postern_pool_post(queue, POSTERN_REFILL_PAGES);
}

/* The page that the peer has filled next. The ring has found that it was posted. */
static struct page *postern_pool_next(struct postern_pool *pool)
{
	u16 page = pool->order[pool->filled++ % pool->count];

	postern_pool_file(pool, page);
	return pool->pages[page];
}

void postern_pool_fill(struct postern_queue *queue, struct sk_buff *skb, u32 length)
{
	u32 head = min(length, POSTERN_POOL_HEAD), done, chunk;

	for (done = 0; done < length; done += chunk) {
		struct page *page = postern_pool_next(queue->own_pool);
		u32 skip = done ? 0 : head;

		chunk = min_t(u32, length - done, PAGE_SIZE);
		if (skip)
			postern_copy(skb->data, page_address(page), skip);
		if (chunk == skip)
			continue;
		/* Somebody else may write there, so nobody here does. */
		skb_shinfo(skb)->flags |= SKBFL_SHARED_FRAG;
		get_page(page);
		skb_add_rx_frag(skb, skb_shinfo(skb)->nr_frags, page, skip, chunk - skip,
				PAGE_SIZE);
	}
}

void postern_pool_copy(struct postern_queue *queue, void *to, u32 length)
{
	u32 done, chunk;

	for (done = 0; done < length; done += chunk) {
		struct page *page = postern_pool_next(queue->own_pool);

		chunk = min_t(u32, length - done, PAGE_SIZE);
		if (to)
			memcpy(to + done, page_address(page), chunk);
	}
}
