//! The configured sources, each with its provider's mapping.

use std::collections::BTreeMap;

use schemas::Provider;

use super::dodo::Dodo;
use super::native::Native;
use super::purchasely::Purchasely;
use super::revenuecat::RevenueCat;
use super::stripe::Stripe;
use super::{Mapper, SourceSettings};

/// The mapping of a provider; `None` for one this version does not know.
pub fn mapper_of(provider: Provider) -> Option<&'static dyn Mapper> {
    match provider {
        Provider::Stripe => Some(&Stripe),
        Provider::Revenuecat => Some(&RevenueCat),
        Provider::Purchasely => Some(&Purchasely),
        Provider::Native => Some(&Native),
        Provider::Dodo => Some(&Dodo),
        Provider::Unknown => None,
    }
}

/// One configured source.
#[derive(Clone)]
pub struct Source {
    /// Its name, the first part of every subscriber key.
    pub name: String,
    /// Who sends.
    pub provider: Provider,
    /// How its records are read.
    pub mapper: &'static dyn Mapper,
    /// What the configuration says about it.
    pub settings: SourceSettings,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Source")
            .field("name", &self.name)
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}

/// All of them, by name.
#[derive(Clone, Debug, Default)]
pub struct Sources(BTreeMap<String, Source>);

impl Sources {
    /// The source of this name.
    pub fn get(&self, name: &str) -> Option<&Source> {
        self.0.get(name)
    }

    /// The names of all, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The source a subscriber key belongs to.
    pub fn of_key(&self, key: &str) -> Option<&Source> {
        self.get(key.split_once('/')?.0)
    }
}

impl FromIterator<Source> for Sources {
    fn from_iter<All: IntoIterator<Item = Source>>(all: All) -> Self {
        Self(all.into_iter().map(|source| (source.name.clone(), source)).collect())
    }
}
