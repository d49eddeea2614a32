// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * /dev/postern (abi/dev.h): a port for a program, instead of the network interface. What a file
 * has taken it has under rtnl, as the interface's up and down.
 */
#include <linux/etherdevice.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "abi/dev.h"
#include "abi/pci.h"
#include "postern_gate.h"
#include "postern_hypercall.h"
#include "postern_nic.h"

struct postern_file {
	struct postern_nic *nic; /* NULL: none is taken, or it went away */
};

void postern_dev_detach(struct postern_nic *nic)
{
	unsigned int i;

	ASSERT_RTNL();
	if (!nic->user)
		return;
	/* The program may have ended as it was. */
	for (i = 0; i < nic->queue_count; i++) {
		postern_port_close(&nic->queues[i].port);
		postern_doorbell(&nic->queues[i], POSTERN_LINK_DOORBELLS);
	}
	postern_close_view(nic);
	nic->user->nic = NULL;
	nic->user = NULL;
}

/* Opens the view of a gated port; of another there is nothing to open. */
static int postern_dev_open_view(struct postern_nic *nic, struct postern_dev_port *port)
{
	unsigned int gate_pages;
	int err;

	port->view = 0;
	port->gate_size = 0;
	if (!nic->gated)
		return 0;
	if (!postern_gate_home(&gate_pages))
		return -ENODEV;
	err = postern_open_view(nic);
	if (err)
		return err;
	port->view = nic->queues[0].port.view;
	port->gate_size = gate_pages * PAGE_SIZE;
	return 0;
}

/* Opens the port for a program, and describes it. */
static int postern_dev_open_port(struct postern_nic *nic, struct postern_dev_port *port)
{
	int err;

	postern_follow_link(nic);
	err = postern_dev_open_view(nic, port);
	if (err)
		return err;
	port->port = nic->number;
	port->window_size = nic->window_size;
	ether_addr_copy(port->mac, nic->dev->dev_addr);
	port->queues = nic->queue_count;
	port->reserved = 0;
	return 0;
}

static int postern_dev_take(struct postern_file *file, struct postern_dev_port *port)
{
	struct postern_nic *nic;
	int err;

	if (file->nic)
		return -EBUSY;
	nic = postern_find_nic(port->port);
	if (!nic || !nic->has_hypercalls)
		return -ENODEV;
	if (nic->user || netif_running(nic->dev))
		return -EBUSY;
	/* Its queues are lanes, of which a program would have to know which to take. */
	if (nic->member)
		return -EOPNOTSUPP;
	err = postern_dev_open_port(nic, port);
	if (err)
		return err;
	nic->user = file;
	file->nic = nic;
	return 0;
}

static int postern_dev_follow(struct postern_file *file, struct postern_dev_port *port)
{
	if (!file->nic)
		return -ENXIO;
	postern_close_view(file->nic);
	return postern_dev_open_port(file->nic, port);
}

/* TAKE and FOLLOW: `open` is what is done, under rtnl. */
static long postern_dev_open_user(struct postern_file *file, void __user *argument,
				  int (*open)(struct postern_file *file,
					      struct postern_dev_port *port))
{
	struct postern_dev_port port;
	int err;

	if (copy_from_user(&port, argument, sizeof(port)))
		return -EFAULT;
	rtnl_lock();
	err = open(file, &port);
	rtnl_unlock();
	if (err)
		return err;
	return copy_to_user(argument, &port, sizeof(port)) ? -EFAULT : 0;
}

/* A hypercall on the file's port. */
static long postern_dev_call(struct postern_file *file, unsigned long number, unsigned long value)
{
	long result;

	rtnl_lock();
	result = file->nic ? postern_hypercall(number, file->nic->number, value) : -ENXIO;
	rtnl_unlock();
	if (result == POSTERN_ERR_PEER_DOWN)
		return -ENOTCONN;
	if (result == POSTERN_ERR_ARGUMENT)
		return -EINVAL;
	return result < 0 && result != -ENXIO ? -EIO : result;
}

static long postern_dev_link(struct postern_file *file)
{
	long link;

	rtnl_lock();
	link = file->nic ? readl(file->nic->registers + POSTERN_REG_LINK) : -ENXIO;
	rtnl_unlock();
	return link;
}

static long postern_dev_ioctl(struct file *filp, unsigned int command, unsigned long argument)
{
	struct postern_file *file = filp->private_data;

	switch (command) {
	case POSTERN_DEV_TAKE:
		return postern_dev_open_user(file, (void __user *)argument, postern_dev_take);
	case POSTERN_DEV_FOLLOW:
		return postern_dev_open_user(file, (void __user *)argument, postern_dev_follow);
	case POSTERN_DEV_DOORBELL:
		return postern_dev_call(file, POSTERN_HC_DOORBELL, argument);
	case POSTERN_DEV_GRANT:
		return postern_dev_call(file, POSTERN_HC_WINDOW_GRANT, argument != 0);
	case POSTERN_DEV_LINK:
		return postern_dev_link(file);
	default:
		return -ENOTTY;
	}
}

/* Where the gate is by itself, rather than the module's text: no page of the kernel's. */
static int postern_dev_map_gate(struct vm_area_struct *vma)
{
	unsigned long size = vma->vm_end - vma->vm_start;
	unsigned int pages = 0;
	phys_addr_t home = postern_gate_home(&pages);

	if (vma->vm_flags & VM_WRITE)
		return -EACCES;
	if (size != pages * PAGE_SIZE)
		return -EINVAL;
	vma->vm_flags &= ~VM_MAYWRITE;
	return remap_pfn_range(vma, vma->vm_start, PHYS_PFN(home), size, vma->vm_page_prot);
}

static int postern_dev_map_window(struct postern_file *file, struct vm_area_struct *vma)
{
	unsigned long size = vma->vm_end - vma->vm_start;
	int err = -ENXIO;

	if (vma->vm_flags & VM_EXEC)
		return -EACCES;
	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	vma->vm_flags &= ~VM_MAYEXEC;
	rtnl_lock();
	if (file->nic)
		err = size == file->nic->window_size
			      ? remap_pfn_range(vma, vma->vm_start, PHYS_PFN(file->nic->window),
						size, vma->vm_page_prot)
			      : -EINVAL;
	rtnl_unlock();
	return err;
}

static int postern_dev_mmap(struct file *filp, struct vm_area_struct *vma)
{
	if (vma->vm_pgoff == PHYS_PFN(POSTERN_DEV_GATE))
		return postern_dev_map_gate(vma);
	if (vma->vm_pgoff == PHYS_PFN(POSTERN_DEV_WINDOW))
		return postern_dev_map_window(filp->private_data, vma);
	return -EINVAL;
}

static int postern_dev_open(struct inode *inode, struct file *filp)
{
	struct postern_file *file = kzalloc(sizeof(*file), GFP_KERNEL);

	filp->private_data = file;
	return file ? 0 : -ENOMEM;
}

/* After the last mapping is gone. */
static int postern_dev_release(struct inode *inode, struct file *filp)
{
	struct postern_file *file = filp->private_data;

	rtnl_lock();
	if (file->nic)
		postern_dev_detach(file->nic);
	rtnl_unlock();
	kfree(file);
	return 0;
}

static const struct file_operations postern_dev_operations = {
	.owner = THIS_MODULE,
	.open = postern_dev_open,
	.release = postern_dev_release,
	.unlocked_ioctl = postern_dev_ioctl,
	.mmap = postern_dev_mmap,
	.llseek = noop_llseek,
};

static struct miscdevice postern_dev = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "postern",
	.mode = 0600,
	.fops = &postern_dev_operations,
};

int postern_dev_register(void)
{
	return misc_register(&postern_dev);
}

void postern_dev_unregister(void)
{
	misc_deregister(&postern_dev);
}
