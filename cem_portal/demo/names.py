"""What the made-up marketplace is called: its markets, shops, products and people."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Place:
    """A made-up market. The first has no quiet hours (D5)."""

    code: str
    name: str
    time_zone: str
    currency: str
    language: str
    share: float  # of all buyers
    quiet_hours: bool
    median_price: float
    first_names: tuple[str, ...]
    last_names: tuple[str, ...]
    shop_words: tuple[str, ...]


def words(text: str) -> tuple[str, ...]:
    """The words of a text; an underscore stands for a space within a name."""
    return tuple(word.replace("_", " ") for word in text.split())


PLACES = (
    Place(
        code="demo-ph", name="Philippines", time_zone="Asia/Manila", currency="PHP", language="en",
        share=0.60, quiet_hours=False, median_price=350,
        first_names=words(
            "Maria Jose Angelica Mark Jasmine John Kristine Paolo Andrea Miguel Bea Carlo Camille Joshua "
            "Nicole Christian Patricia Rafael Trisha Gabriel Liza Ramon Rowena Arnel Marites Dennis Joy "
            "Jericho Aileen Francis Clarissa Noel Rhea Emman Dianne Jerome Katrina Vincent Lorna Efren Hazel "
            "Rodel Mylene Bryan Cecilia Jomar Precious Alvin Grace Ryan"
        ),
        last_names=words(
            "Santos Reyes Cruz Bautista Garcia Mendoza Torres Flores Ramos Aquino Villanueva Castillo Navarro "
            "Salazar Mercado Dela_Cruz De_Guzman Pascual Soriano Valdez Domingo Manalo Lim Tan Ocampo Dizon "
            "Magbanua Panganiban Tolentino Macaraeg Abad Evangelista Padilla Gonzaga Lacson Sarmiento Cabrera "
            "Ilagan Marasigan Yap"
        ),
        shop_words=words(
            "Bayani Mutya Sampaguita Isla Tala Habi Likha Amihan Hiraya Dalisay Bituin Malaya Luntian "
            "Kalye_Nueve Tahanan Sinag Pinta Marikit Alon Lakbay Tindahan_ni_Aling_Nena Halaman Ginhawa "
            "Batang_Maynila Sari Kapwa Ani Lambana Perlas Habagat Balangay Kusina_Republic Dapithapon Agos "
            "Himig Buhay"
        ),
    ),
    Place(
        code="demo-id", name="Indonesia", time_zone="Asia/Jakarta", currency="IDR", language="id",
        share=0.25, quiet_hours=True, median_price=95_000,
        first_names=words(
            "Siti Budi Dewi Agus Putri Rizky Ayu Bayu Fitri Dimas Ratna Eko Indah Fajar Nurul Hendra Wulan "
            "Joko Lestari Arif Sari Wahyu Intan Galih Maya Yusuf Rina Bagus Citra Andi"
        ),
        last_names=words(
            "Wijaya Saputra Lestari Hidayat Pratama Kusuma Nugroho Rahayu Setiawan Santoso Wibowo Permata "
            "Utami Gunawan Siregar Nasution Simanjuntak Halim Suryani Maulana Ramadhan Hartono Anggraini "
            "Susanto Firmansyah Puspita"
        ),
        shop_words=words(
            "Nusantara Melati Kopi_Senja Rumah_Kita Cendana Anggrek Sahabat Cahaya Lestari Mekar Bintang "
            "Rimba Samudra Pelangi Warna"
        ),
    ),
    Place(
        code="demo-br", name="Brazil", time_zone="America/Sao_Paulo", currency="BRL", language="pt",
        share=0.15, quiet_hours=True, median_price=65,
        first_names=words(
            "Ana João Beatriz Pedro Camila Lucas Juliana Rafael Larissa Gabriel Fernanda Matheus Aline Thiago "
            "Letícia Bruno Patrícia Felipe Vanessa Gustavo Luiza Diego Renata Caio Débora"
        ),
        last_names=words(
            "Silva Souza Oliveira Santos Lima Pereira Costa Ferreira Almeida Ribeiro Carvalho Gomes Martins "
            "Araújo Barbosa Rocha Dias Nascimento Moreira Cardoso Teixeira Correia"
        ),
        shop_words=words(
            "Ipê Brisa Jabuticaba Sabiá Maré Flor_do_Campo Aurora Girassol Vila_Nova"
        ),
    ),
)  # fmt: skip

# Each trade: what its shops are called, and which tiles (static/img/tiles) its products have.
TRADES: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("Fashion", (1, 9, 2, 20, 5)),
    ("Gadgets", (3, 4, 12, 13, 8)),
    ("Home", (6, 19, 14, 21, 0)),
    ("Beauty", (15, 7, 21, 14)),
    ("Kitchen", (18, 0, 7, 14)),
    ("Sports", (17, 2, 7, 5, 1)),
    ("Toys", (16, 17, 10, 19)),
    ("Books & Paper", (10, 5, 0, 6)),
    ("Plants", (11, 21, 0, 23)),
    ("Pets", (22, 19, 14, 17)),
    ("Accessories", (8, 20, 5, 23, 4)),
)

# By tile: what the product is, in which makes, and its price against the market's median.
GOODS: dict[int, tuple[float, tuple[str, ...], tuple[str, ...]]] = {
    0: (0.6, ("Ceramic Mug", "Enamel Mug", "Travel Mug"), ("Speckled", "Matte", "Hand-painted", "Stackable")),
    1: (0.8, ("Cotton T-Shirt", "Oversized Tee", "Polo Shirt"), ("Plain", "Striped", "Vintage Print", "Linen Blend")),
    2: (2.6, ("Running Shoes", "Canvas Sneakers", "Slip-On Shoes"), ("Lightweight", "Everyday", "Retro", "Breathable")),
    3: (2.2, ("Wireless Earbuds", "Over-Ear Headphones", "Sports Earphones"), ("Noise-Cancelling", "Foldable", "Bass", "Waterproof")),
    4: (0.5, ("Phone Case", "Magnetic Phone Case", "Clear Phone Case"), ("Shockproof", "Floral", "Slim", "Marble")),
    5: (2.0, ("Laptop Backpack", "Day Pack", "School Bag"), ("Water-Resistant", "Canvas", "Anti-Theft", "Foldable")),
    6: (1.5, ("Bedside Lamp", "Desk Lamp", "Rattan Lamp"), ("Dimmable", "Warm Light", "Woven", "Rechargeable")),
    7: (0.9, ("Insulated Bottle", "Water Bottle", "Tumbler"), ("Stainless", "1-Litre", "Leak-Proof", "Pastel")),
    8: (3.0, ("Smart Watch", "Classic Watch", "Sports Watch"), ("Slim", "Leather Strap", "GPS", "Rose Gold")),
    9: (1.6, ("Midi Dress", "Summer Dress", "Wrap Dress"), ("Floral", "Linen", "Pleated", "Off-Shoulder")),
    10: (0.7, ("Dotted Notebook", "Weekly Planner", "Story Book"), ("Hardcover", "A5", "Kraft", "Illustrated")),
    11: (0.9, ("Snake Plant", "Monstera", "Succulent Set"), ("Potted", "Small", "Easy-Care", "Rare Variegated")),
    12: (6.0, ("Instant Camera", "Action Camera", "Webcam"), ("Compact", "4K", "Retro", "Full HD")),
    13: (2.5, ("Mechanical Keyboard", "Wireless Keyboard", "Numeric Keypad"), ("Compact", "Backlit", "Silent", "Hot-Swap")),
    14: (0.7, ("Bath Towel", "Quick-Dry Towel", "Kitchen Towel Set"), ("Bamboo", "Waffle", "Extra Soft", "Microfibre")),
    15: (0.8, ("Matte Lipstick", "Lip Tint", "Lip Balm"), ("Long-Wear", "Peach", "Hydrating", "Velvet")),
    16: (1.1, ("Toy Car Set", "Remote Control Car", "Wooden Car"), ("Die-Cast", "Off-Road", "Building", "Mini")),
    17: (1.2, ("Basketball", "Training Ball", "Play Ball"), ("Indoor", "Street", "Size 7", "Soft")),
    18: (1.8, ("Frying Pan", "Wok", "Grill Pan"), ("Non-Stick", "Granite", "28 cm", "Cast Iron")),
    19: (1.0, ("Throw Pillow", "Memory Foam Pillow", "Body Pillow"), ("Velvet", "Cooling", "Embroidered", "Orthopaedic")),
    20: (0.9, ("Sunglasses", "Blue-Light Glasses", "Reading Glasses"), ("Polarised", "Round", "Cat-Eye", "Clip-On")),
    21: (0.8, ("Scented Candle", "Soy Candle", "Tea Light Set"), ("Lavender", "Sampaguita", "Vanilla", "Coffee")),
    22: (0.8, ("Pet Bowl", "Slow-Feeder Bowl", "Pet Fountain"), ("Anti-Slip", "Double", "Ceramic", "Raised")),
    23: (0.9, ("Folding Umbrella", "Golf Umbrella", "UV Umbrella"), ("Windproof", "Automatic", "Pocket", "Transparent")),
}  # fmt: skip
COLOURS = ("Black", "White", "Sand", "Sage", "Navy", "Rose", "Mustard", "Grey", "Terracotta", "Sky")

SIGMA_PRICE = 0.72  # around each good's own level; all goods together spread p90/p10 ≈ 10


def name_shops(place: Place, count: int, random: Random) -> list[tuple[str, tuple[int, ...]]]:
    """`count` different shop names of a market, each with the tiles of its trade."""
    stems = list(place.shop_words)
    random.shuffle(stems)
    shops: list[tuple[str, tuple[int, ...]]] = []
    for number in range(count):
        trade, tiles = TRADES[number % len(TRADES)]
        stem = stems[number % len(stems)]
        name = stem if " " in stem and number < len(stems) else f"{stem} {trade}"
        shops.append((name, tiles))
    return shops


def name_people(place: Place, count: int, random: Random) -> list[str]:
    """`count` names as a chat shows them: some in full, some short."""
    styles = ("{0} {1}", "{0} {1}", "{0} {1}", "{0} {2}.")
    names = []
    for _ in range(count):
        last = random.choice(place.last_names)
        names.append(random.choice(styles).format(random.choice(place.first_names), last, last[0]))
    return names


def price_goods(place: Place, level: float, random: Random) -> float:
    """A log-normal price, rounded as the market's shops price."""
    raw = place.median_price * level * random.lognormvariate(0, SIGMA_PRICE)
    match place.currency:
        case "IDR":
            return max(4_900, round(raw / 1_000) * 1_000 - 100)
        case "BRL":
            return max(4.9, round(raw / 5) * 5 - 0.1) if raw < 200 else round(raw / 10) * 10 - 0.1
        case _:
            return max(29, round(raw / 10) * 10 - 1) if raw < 1_000 else round(raw / 100) * 100 - 1


def name_products(
    place: Place, tiles: tuple[int, ...], count: int, random: Random
) -> list[tuple[str, int, float]]:
    """`count` products of a trade as (title, tile, price), no title twice."""
    products: dict[str, tuple[str, int, float]] = {}
    while len(products) < count:
        tile = random.choice(tiles)
        level, things, makes = GOODS[tile]
        title = f"{random.choice(makes)} {random.choice(things)}"
        if title in products or random.random() < 0.3:
            title = f"{title}, {random.choice(COLOURS)}"
        products[title] = (title, tile, price_goods(place, level, random))
    return list(products.values())
