"""What the made-up shops and buyers write to each other."""

from __future__ import annotations

# scenario: (title for the team, text) …; in the market's language, English where none is written
LETTERS: dict[str, dict[str, tuple[tuple[str, str], ...]]] = {
    "en": {
        "unpaid": (
            ("Payment reminder", "Hi {buyer}, your order at {shop} is packed in thought, but not paid yet. We keep it for you until the time to pay is over. Need help with payment? Just reply."),
            ("Order waiting", "Hello {buyer}! Your order is still reserved. Pay today and it leaves with tomorrow morning's courier. – {shop}"),
        ),
        "cart": (
            ("Cart reminder", "Hi {buyer}! You left something lovely in your cart. Stocks are limited this week, so check out before it runs out. – {shop}"),
            ("Cart, with a gift", "{buyer}, your cart at {shop} is waiting. Check out this week and we add a small free gift to your parcel."),
        ),
        "wishlist": (
            ("Wishlist picks", "Hello {buyer}, good taste! The item on your wishlist is in stock again in all colours. Have another look. – {shop}"),
            ("Wishlist price drop", "{buyer}, an item that you wished for has a better price until Sunday. Your {shop} team"),
        ),
        "loyalty": (
            ("Thank you, regulars", "Dear {buyer}, thank you for coming back to {shop} again and again. You see our new collection two days before everyone else, with a voucher just for you."),
            ("Early access", "{buyer}, you are one of our most loyal customers. Early access to the payday sale starts now, only for you. – {shop}"),
        ),
        "followers": (
            ("New arrivals", "Hi {buyer}! New arrivals at {shop}: see what just landed this week. Free shipping on selected items."),
            ("Payday sale", "Payday treats, {buyer}! Up to 30 % off favourites at {shop}, today and tomorrow only."),
            ("Weekend flash deals", "Good morning {buyer}! Flash deals at {shop} from now until Sunday midnight. See you inside!"),
            ("Restocked", "You asked, we restocked. Our best sellers are back at {shop}, {buyer}. Grab yours while they last."),
        ),
        "new_followers": (
            ("Welcome", "Welcome to {shop}, {buyer}! Thank you for following. Here is a little voucher for your first order with us."),
            ("Our favourites", "Hi {buyer}, glad you follow {shop}. These are the four things that our customers love most."),
        ),
        "visitors": (
            ("Still looking?", "Hi {buyer}, thanks for visiting {shop}. Any questions about what you saw? Reply here, we usually answer within the hour."),
            ("You may also like", "{buyer}, here are a few more items like the ones you looked at. – {shop}"),
        ),
        "past_buyers": (
            ("Goes well with it", "Hi {buyer}, we hope you enjoy your order from {shop}. These go very well with it."),
            ("Thank-you voucher", "Thank you for shopping at {shop}, {buyer}! Use this voucher on your next order before the end of the month."),
        ),
        "review": (
            ("How do you like it?", "Hi {buyer}, your order from {shop} has arrived. How do you like it? Your honest review helps a small shop a lot."),
        ),
        "lapsed_buyers": (
            ("We miss you", "It has been a while, {buyer}! {shop} has grown: see what is new, with a voucher to welcome you back."),
        ),
    },
    "id": {
        "unpaid": (("Pengingat pembayaran", "Halo {buyer}, pesananmu di {shop} belum dibayar. Kami simpan sampai batas waktu pembayaran ya. Butuh bantuan? Balas saja pesan ini."),),
        "cart": (("Keranjang menunggu", "Halo {buyer}! Masih ada barang di keranjangmu. Stok terbatas minggu ini, yuk selesaikan pesananmu. – {shop}"),),
        "wishlist": (("Barang impian", "Kak {buyer}, barang di wishlist kakak tersedia lagi, dan sedang ada harga khusus. – {shop}"),),
        "loyalty": (("Terima kasih pelanggan setia", "Kak {buyer}, terima kasih sudah setia di {shop}. Koleksi baru bisa kakak lihat dua hari lebih awal."),),
        "followers": (
            ("Produk baru", "Hai {buyer}! Produk baru sudah hadir di {shop}. Gratis ongkir untuk barang pilihan minggu ini."),
            ("Promo gajian", "Promo gajian, Kak {buyer}! Diskon sampai 30 % di {shop}, hanya hari ini dan besok."),
        ),
        "new_followers": (("Selamat datang", "Selamat datang di {shop}, Kak {buyer}! Ini voucher kecil untuk pesanan pertamamu."),),
        "visitors": (("Ada yang bisa dibantu?", "Halo {buyer}, terima kasih sudah mampir ke {shop}. Ada pertanyaan tentang produk yang dilihat? Balas di sini ya."),),
        "past_buyers": (("Cocok dengan pesananmu", "Halo {buyer}, semoga suka dengan pesanan dari {shop}. Barang-barang ini cocok sekali dengannya."),),
        "review": (("Minta ulasan", "Halo {buyer}, pesananmu dari {shop} sudah sampai. Bagaimana menurutmu? Ulasanmu sangat membantu kami."),),
        "lapsed_buyers": (("Kami rindu", "Sudah lama ya, Kak {buyer}! Lihat yang baru di {shop}, ada voucher untuk kakak."),),
    },
    "pt": {
        "unpaid": (("Lembrete de pagamento", "Oi {buyer}, seu pedido na {shop} ainda não foi pago. Guardamos para você até o fim do prazo. Precisa de ajuda? É só responder."),),
        "cart": (("Carrinho esperando", "Oi {buyer}! Você deixou algo no carrinho. O estoque é pequeno: finalize ainda esta semana. – {shop}"),),
        "wishlist": (("Lista de desejos", "{buyer}, o item da sua lista de desejos está com preço especial até domingo. – {shop}"),),
        "loyalty": (("Obrigado aos fiéis", "{buyer}, obrigado por voltar sempre à {shop}. A nova coleção abre dois dias antes para você."),),
        "followers": (
            ("Novidades", "Oi {buyer}! Chegaram novidades na {shop}. Frete grátis em itens selecionados esta semana."),
            ("Oferta relâmpago", "Oferta relâmpago na {shop}, {buyer}: até 30 % de desconto, só hoje e amanhã."),
        ),
        "new_followers": (("Boas-vindas", "Bem-vindo à {shop}, {buyer}! Um pequeno cupom para o seu primeiro pedido."),),
        "visitors": (("Posso ajudar?", "Oi {buyer}, obrigado pela visita à {shop}. Ficou com alguma dúvida? Responda aqui."),),
        "past_buyers": (("Combina com seu pedido", "Oi {buyer}, esperamos que goste da sua compra na {shop}. Estes itens combinam muito com ela."),),
        "review": (("Pedido de avaliação", "Oi {buyer}, seu pedido da {shop} chegou. O que achou? Sua avaliação ajuda muito."),),
        "lapsed_buyers": (("Saudades", "Faz tempo, {buyer}! Veja as novidades da {shop}, com um cupom para você voltar."),),
    },
}  # fmt: skip

# One broadcast in the history goes wrong: shouting at everybody costs a shop its audience.
BAD_LETTER = (
    "MEGA SALE blast",
    "MEGA SALE!!! BUY NOW {buyer}!!! LAST CHANCE!!! EVERYTHING MUST GO!!! BUY BUY BUY!!! – {shop}",
)

QUESTIONS = {
    "en": (
        "Hi, is this still available?", "Do you ship to Cebu? How long does it take?", "Is there a bigger size?",
        "Can I pay on delivery?", "Do you have this in black?", "How do I use the voucher?", "Thank you! Ordered na po.",
        "May discount pa po ba if I buy two?", "My parcel has not arrived yet. Can you check?",
        "What are the measurements please?", "Is it original?", "Can I still change the colour of my order?",
    ),
    "id": (
        "Kak, ini masih ada?", "Bisa kirim ke Surabaya?", "Ada ukuran lebih besar?", "Vouchernya cara pakainya gimana ya?",
        "Warna hitam ready kak?", "Paket saya belum sampai, bisa dicek?",
    ),
    "pt": (
        "Oi, ainda tem?", "Entrega em Recife? Quanto tempo leva?", "Tem tamanho maior?", "Como uso o cupom?",
        "Tem na cor preta?", "Meu pedido ainda não chegou, pode verificar?",
    ),
}  # fmt: skip

ANSWERS = {
    "en": (
        "Hello! Yes, it is available. You can order it right away.", "Hi, thanks for asking! Shipping takes two to four days.",
        "Good day! We have three sizes left, all in the listing.", "Thank you for your message! We checked: all is on its way to you.",
        "Hi! Yes, you can. Enter the voucher at check-out and it is deducted.",
    ),
    "id": ("Halo kak, masih ada, silakan dipesan ya.", "Bisa kak, dua sampai empat hari sampai.", "Sudah kami cek kak, sedang dalam perjalanan."),
    "pt": ("Olá! Sim, ainda temos.", "Oi! Entregamos em três a cinco dias.", "Já verificamos: está a caminho. Obrigado!"),
}  # fmt: skip


def promises_voucher(text: str) -> bool:
    """Whether a letter speaks of a voucher, in any of the languages: then it must carry one."""
    return any(word in text.lower() for word in ("voucher", "cupom"))


def letters_for(language: str, scenario: str) -> tuple[tuple[str, str], ...]:
    """Titles and texts for a scenario; a scenario of staff's own gets the followers'."""
    written = LETTERS.get(language, LETTERS["en"])
    return written.get(scenario) or LETTERS["en"].get(scenario) or written["followers"]
