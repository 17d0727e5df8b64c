//! The layouts of files that can be imported, by name.

use std::str::FromStr;

use anyhow::anyhow;
use clap::ValueEnum;

use super::produced::Shape;
use tidings_core::base::nearest;

/// Layouts that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// UCI Online Retail: invoice lines of a British gift shop.
    OnlineRetail,
    /// MovieLens ratings and films, 100K, 1M, 20M and RecBole layouts.
    #[value(name = "movielens")]
    MovieLens,
    /// Retailrocket events, item properties and category tree.
    #[value(name = "retailrocket")]
    RetailRocket,
    /// Any delimited file with a header; see --map.
    Csv,
    /// One JSON object a line, as the HTTP API takes them; see --map.
    Ndjson,
    /// Events or items as `tidings export` writes them, read back exactly; running it twice changes nothing.
    Exported,
    /// Orders as Shopify exports them.
    ShopifyOrders,
    /// Products as WooCommerce exports them.
    #[value(name = "woocommerce-products")]
    WooCommerceProducts,
    /// Segment: track calls, one JSON object a line.
    Segment,
    /// Google Analytics 4: events of the BigQuery export, one JSON object a line.
    Ga4,
    /// REES46: behaviour of an electronics or cosmetics shop.
    Rees46,
}

impl Format {
    /// Returns whether columns or fields are named by the file, and mapped.
    pub fn is_mapped(self) -> bool {
        matches!(self, Self::Csv | Self::Ndjson)
    }

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::OnlineRetail => "online-retail",
            Self::MovieLens => "movielens",
            Self::RetailRocket => "retailrocket",
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
            Self::Exported => "exported",
            Self::ShopifyOrders => "shopify-orders",
            Self::WooCommerceProducts => "woocommerce-products",
            Self::Segment => "segment",
            Self::Ga4 => "ga4",
            Self::Rees46 => "rees46",
        }
    }

    /// Returns whether its records are JSON objects rather than rows under a header.
    pub fn shape(self) -> Shape {
        match self {
            Self::Ndjson | Self::Segment | Self::Ga4 => Shape::Records,
            _ => Shape::Table,
        }
    }
}

impl FromStr for Format {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        <Self as ValueEnum>::from_str(text, true).map_err(|_| {
            let names: Vec<&str> = Self::value_variants().iter().map(|format| format.name()).collect();
            match nearest(text, names.iter().copied()) {
                Some(near) => anyhow!("there is no format {text:?}; did you mean {near}?"),
                None => anyhow!("there is no format {text:?}; there are {}", names.join(", ")),
            }
        })
    }
}
