//! The addresses of one prefix of a subnet: who holds them, and which one is next.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::usable::{to_address, to_number, usable};

/// The addresses of one prefix.
#[derive(Debug, Clone)]
pub struct Pool {
    prefix: IpNet,
    /// Who holds an address, by its number.
    holders: BTreeMap<u128, String>,
    /// The gaps: first address to last address.
    free: BTreeMap<u128, u128>,
    gateway: IpAddr,
}

/// Why an address that was asked for cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not of the prefix.
    #[error("{address} is outside {prefix}")]
    Outside {
        /// The address.
        address: IpAddr,
        /// The prefix.
        prefix: IpNet,
    },
    /// The prefix's own address.
    #[error("{address} is the address of the network {prefix} itself; take one after it")]
    Network {
        /// The address.
        address: IpAddr,
        /// The prefix.
        prefix: IpNet,
    },
    /// The prefix's last address, in IPv4.
    #[error("{address} is the broadcast address of {prefix}; take one before it")]
    Broadcast {
        /// The address.
        address: IpAddr,
        /// The prefix.
        prefix: IpNet,
    },
    /// The gateway's.
    #[error("{address} is the gateway of {prefix}")]
    Gateway {
        /// The address.
        address: IpAddr,
        /// The prefix.
        prefix: IpNet,
    },
    /// Somebody else's.
    #[error("{address} is taken by {holder}")]
    Taken {
        /// The address.
        address: IpAddr,
        /// Who has it.
        holder: String,
    },
}

/// Every address of the prefix is held.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{prefix} is full: {taken} addresses are taken, besides the gateway; delete ports or use a wider prefix"
)]
pub struct PoolFull {
    /// The prefix.
    pub prefix: IpNet,
    /// How many addresses are held.
    pub taken: usize,
}

impl Pool {
    /// The addresses of `prefix`, whose host bits are ignored; all are free but the gateway's.
    ///
    /// # Errors
    /// [`Refusal`] if nobody can have the gateway's address.
    pub fn new(prefix: IpNet, gateway: IpAddr) -> Result<Self, Refusal> {
        let prefix = prefix.trunc();
        let span = usable(prefix);
        check(prefix, gateway)?;
        let mut pool = Self {
            prefix,
            holders: BTreeMap::new(),
            free: BTreeMap::from([(span.first, span.last)]),
            gateway,
        };
        pool.remove(to_number(gateway));
        Ok(pool)
    }

    /// The prefix.
    #[must_use]
    pub const fn prefix(&self) -> IpNet {
        self.prefix
    }

    /// Gives `address` to `holder`.
    ///
    /// # Errors
    /// [`Refusal`]; the pool is then as it was.
    pub fn claim(&mut self, address: IpAddr, holder: &str) -> Result<(), Refusal> {
        check(self.prefix, address)?;
        if address == self.gateway {
            return Err(Refusal::Gateway { address, prefix: self.prefix });
        }
        let number = to_number(address);
        if let Some(holder) = self.holders.get(&number) {
            return Err(Refusal::Taken { address, holder: holder.clone() });
        }
        self.holders.insert(number, holder.to_owned());
        self.remove(number);
        Ok(())
    }

    /// Gives the lowest free address to `holder`.
    ///
    /// # Errors
    /// [`PoolFull`] if there is none.
    pub fn allocate(&mut self, holder: &str) -> Result<IpAddr, PoolFull> {
        let Some((first, last)) = self.free.pop_first() else {
            return Err(PoolFull { prefix: self.prefix, taken: self.holders.len() });
        };
        if first < last {
            self.free.insert(first + 1, last);
        }
        self.holders.insert(first, holder.to_owned());
        Ok(to_address(self.prefix, first))
    }

    /// Takes an address out of the gap that it is in.
    fn remove(&mut self, number: u128) {
        let Some((&first, &last)) = self.free.range(..=number).next_back() else { return };
        if last < number {
            return;
        }
        self.free.remove(&first);
        if first < number {
            self.free.insert(first, number - 1);
        }
        if number < last {
            self.free.insert(number + 1, last);
        }
    }
}

/// Checks that somebody can have the address.
fn check(prefix: IpNet, address: IpAddr) -> Result<(), Refusal> {
    if !prefix.contains(&address) {
        return Err(Refusal::Outside { address, prefix });
    }
    let (span, number) = (usable(prefix), to_number(address));
    if number < span.first {
        return Err(Refusal::Network { address, prefix });
    }
    if number > span.last {
        return Err(Refusal::Broadcast { address, prefix });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
